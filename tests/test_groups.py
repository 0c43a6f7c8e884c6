import pytest


def test_the_tests_of_a_file_go_to_one_worker(request):
    """xdist finds the group in the id of a test; where it does not, most is compiled twice."""
    if not getattr(request.config.option, "loadgroup", False):
        pytest.skip("takes --dist loadgroup, as in make test")
    reason = "takes pytest before 9.2, as pyproject.toml says: make -B .venv/ready"
    assert request.node.nodeid.endswith("@tests/test_groups.py"), reason

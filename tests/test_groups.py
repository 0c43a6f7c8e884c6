import pytest


def test_the_tests_of_a_file_go_to_one_worker(request):
    """xdist finds the group in a test's id; if it does not, most programs are compiled twice."""
    if not getattr(request.config.option, "loadgroup", False):
        pytest.skip("takes --dist loadgroup, as in make test")
    reason = "takes pytest before 9.2, as pyproject.toml says: make -B .venv/ready"
    assert request.node.nodeid.endswith("@tests/test_groups.py"), reason

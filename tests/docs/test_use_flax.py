"""The programs of the page on Flax run."""

import pytest

from tests.pages import Page


@pytest.mark.slow
def test_the_programs_run():
    names = Page("docs/how_to/use_flax.md").run()
    assert names["losses"][-1] < names["losses"][0] / 10

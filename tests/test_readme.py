"""README.md is true, and stays short."""

from tests.pages import Page

README = Page("README.md")


def test_the_first_lines_run_and_are_ten():
    text = README.block("value_and_grad")
    assert len([line for line in text.splitlines() if line.strip()]) <= 10
    exec(text, {})


def test_it_is_short():
    assert len(README.text.splitlines()) <= 150

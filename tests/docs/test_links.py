"""The links of README.md and the pages in docs/ lead to existing files and headings."""

import pytest

from tests.pages import ROOT, Page, pages

SEEN = [
    *(Page(name) for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    Page("notebooks/README.md"),
    *pages("docs"),
]


@pytest.mark.parametrize("page", SEEN, ids=lambda page: str(page.file.relative_to(ROOT)))
def test_everything_that_a_page_links_to_is_there(page):
    for target, heading in page.links():
        assert target.exists(), target
        if heading:
            assert heading in Page(target.relative_to(ROOT)).headings(), f"{target}#{heading}"


@pytest.mark.parametrize("page", pages("docs"), ids=lambda page: str(page.file.relative_to(ROOT)))
def test_everything_that_a_page_includes_is_there(page):
    for target in page.included():
        assert target.exists(), target


def test_every_kept_report_stands_on_a_page():
    """Pages include the reports, so that no number is copied by hand."""
    included = {target.resolve() for page in pages("docs/results") for target in page.included()}
    kept = [*ROOT.glob("experiments/results/*/*.md"), *ROOT.glob("benchmarks/results/**/*.md")]
    assert kept and set(kept) <= included


def test_every_page_is_in_the_contents():
    linked = {
        name
        for page in pages("docs")
        for block in page.blocks("{toctree}")
        for name in block.splitlines()
    }
    for page in pages("docs"):
        if page.file.stem != "index":
            folder = page.file.parent.name
            assert {page.file.stem, f"{folder}/{page.file.stem}"} & linked, page.file

"""Tables in Markdown."""

from collections.abc import Sequence


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table whose first column is aligned left and all others right."""
    separator = "|---" + "|---:" * (len(columns) - 1) + "|"
    return [markdown_row(columns), separator, *map(markdown_row, rows)]


def markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"

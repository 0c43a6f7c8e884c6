"""Printing to the terminal."""

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table


def make_console(width: int = 160) -> Console:
    """A console on stdout, as wide as the terminal, or ``width`` characters if stdout is a file."""
    return Console(width=None if sys.stdout.isatty() else width)


def print_table(
    console: Console, title: str, columns: Sequence[str], rows: list[list[str]], caption: str = ""
) -> None:
    """Prints one table, the first column aligned left and all others right."""
    table = Table(title=title, caption=caption or None, title_justify="left")
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i else "left", no_wrap=not i)
    for row in rows:
        table.add_row(*row)
    console.print(table)

"""The docstrings of lstm_jax as napoleon reads them.

A docstring may list its arguments, or the fields of its tuple, as lines of ``name: text`` outside
an ``Args:`` section. Here they get one. An indented block is code, with or without a ``::``.
"""

import inspect
import re
from typing import Any

ENTRY = re.compile(r"(\*{0,2}\w+(?:, \*{0,2}\w+)*): \S")


def names_of(what: str, thing: Any) -> tuple[str, set[str]]:
    """The section that the entries of ``thing`` belong to, and the names that they can have."""
    if what == "class":
        fields = getattr(thing, "_fields", None) or getattr(thing, "__annotations__", {})
        if fields:
            return "Attributes", set(fields)
    if what not in ("class", "function", "method"):
        return "", set()
    try:
        return "Args", set(inspect.signature(thing).parameters)
    except (TypeError, ValueError):
        return "", set()


def is_entry(line: str, names: set[str]) -> bool:
    found = ENTRY.match(line)
    return bool(found) and all(name.strip("* ") in names for name in found[1].split(","))


def mark_code(lines: list[str]) -> list[str]:
    """With a ``::`` before each indented block that stands by itself below a paragraph."""
    marked: list[str] = []
    for number, line in enumerate(lines):
        before = [earlier for earlier in marked if earlier]
        if (
            line.startswith(" ")
            and number > 0
            and not lines[number - 1]
            and before
            and not before[-1].startswith(" ")
            and not before[-1].endswith(":")
        ):
            marked += ["::", ""]
        marked.append(line)
    return marked


def sections(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Indents each run of entries below the title of a section, in place."""
    lines[:] = mark_code(lines)
    section, names = names_of(what, thing)
    if not names:
        return
    written: list[str] = []
    within = False
    for line in lines:
        if is_entry(line, names):
            if not within:
                if written and written[-1]:
                    written.append("")
                written.append(f"{section}:")
            within = True
        elif within and line and not line.startswith(" "):
            within = False
            if written[-1]:
                written.append("")
        written.append(f"    {line}" if within and line else line)
    lines[:] = written


def skip_bare_fields(
    app: Any, what: str, name: str, thing: Any, skip: bool, options: Any
) -> bool | None:
    """Fields of a NamedTuple stand in its signature; their generated docstrings say no more."""
    doc = getattr(thing, "__doc__", None) or ""
    return True if doc.startswith("Alias for field number") else None

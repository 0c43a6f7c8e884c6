"""The docstrings of lstm_jax as napoleon reads them.

A docstring may list its arguments, or the fields of its tuple, as lines of ``name: text`` outside
an ``Args:`` section. Here they get one. An indented block is code, with or without a ``::``.
"""

import inspect
import re
from typing import Any

ENTRY = re.compile(r"(\*{0,2}\w+(?:, \*{0,2}\w+)*): \S")

# Arrays of JAX or NumPy, and keys of either kind, as the types spell them out.
ARRAY = re.compile(r"(\w+)\[Array, ('[^']*')\] \| \1\[ndarray, \2\]")
KEY = re.compile(r"Key\[Array, ''\] \| UInt32\[Array, '2'\] \| UInt32\[Array, '4'\]")
SINGLE_KEY = re.compile(r"Key\[Array, ''\] \| UInt32\[Array, '2'\]")


def names_of(what: str, thing: Any) -> set[str]:
    """The arguments or fields of ``thing``."""
    if what not in ("class", "function", "method"):
        return set()
    if what == "class":
        fields = getattr(thing, "_fields", None) or getattr(thing, "__annotations__", None)
        return set(fields or dir(thing))
    try:
        return set(inspect.signature(thing).parameters)
    except (TypeError, ValueError):
        return set()


def is_entry(line: str, names: set[str]) -> bool:
    found = ENTRY.match(line)
    return bool(found) and all(name.strip("* ") in names for name in found[1].split(","))


def mark_code(lines: list[str]) -> list[str]:
    """With a ``::`` before each indented block that stands by itself below a paragraph."""
    marked: list[str] = []
    for number, line in enumerate(lines):
        if line in ("Example:", "Examples:"):
            marked += [f"{line}:", ""]
            continue
        if line.startswith(" ") and number > 0 and not lines[number - 1]:
            last = next((n for n in reversed(range(len(marked))) if marked[n]), None)
            if last is not None and not marked[last].startswith(" "):
                if not marked[last].endswith(":"):
                    marked += ["::", ""]
                elif not marked[last].endswith("::"):
                    marked[last] += ":"
        marked.append(line)
    return marked


def paragraphs(lines: list[str]) -> list[list[str]]:
    """The lines between blank lines."""
    found: list[list[str]] = [[]]
    for line in lines:
        if not line:
            found.append([])
        else:
            found[-1].append(line)
    return found


def in_section(paragraph: list[str], names: set[str]) -> list[str]:
    """The paragraph with its entries, if it has any, below the title of a section."""
    for number in range(1, len(paragraph)):
        if is_entry(paragraph[number], names) and not is_entry(paragraph[0], names):
            if not paragraph[number - 1].endswith("."):
                return paragraph
            return [*paragraph[:number], "", *in_section(paragraph[number:], names)]
    entries = 0
    for number, line in enumerate(paragraph):
        if is_entry(line, names) or (line.startswith(" ") and entries):
            entries = number + 1
        else:
            break
    last = paragraph[entries - 1] if entries else ""
    runs_on = entries < len(paragraph) and not last.endswith(".")
    if not entries or runs_on:  # a paragraph that happens to begin with a name and a colon
        return paragraph
    listed = ["Args:", *(f"    {line}" for line in paragraph[:entries])]
    rest = paragraph[entries:]
    return [*listed, "", *in_section(rest, names)] if rest else listed


def sections(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Rewrites a docstring in place."""
    if what == "class" and lines and lines[0].startswith(f"{thing.__name__}("):
        lines[:] = []  # generated, and no more than the signature
    lines[:] = mark_code(lines)
    names = names_of(what, thing)
    if names:
        parts = [in_section(part, names) for part in paragraphs(lines)]
        lines[:] = [line for part in parts for line in [*part, ""]]


def short_types(
    app: Any,
    what: str,
    name: str,
    thing: Any,
    options: Any,
    signature: str | None,
    returns: str | None,
) -> tuple[str | None, str | None]:
    """Types as the source has them: ``Float[Array, "*batch D"]``, ``PRNGKeyArray``."""

    def short(text: str | None) -> str | None:
        if text is None:
            return None
        text = text.replace("~jaxtyping.", "").replace("jaxlib._jax.", "")
        text = ARRAY.sub(r"\1[Array, \2]", text)
        return SINGLE_KEY.sub("PRNGKeyArray", KEY.sub("PRNGKeyArray", text))

    return short(signature), short(returns)


def skip_bare_fields(
    app: Any, what: str, name: str, thing: Any, skip: bool, options: Any
) -> bool | None:
    """Fields of a NamedTuple stand in its signature; their generated docstrings say no more."""
    doc = getattr(thing, "__doc__", None) or ""
    return True if doc.startswith("Alias for field number") else None

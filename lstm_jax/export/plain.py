"""Arguments and results of exported programs, which only hold dicts and tuples.

A NamedTuple would have to be known where the program is read, so it becomes a dict of its fields.
"""

from typing import Any


def to_plain(tree: Any) -> Any:
    """``tree`` with dicts in the place of NamedTuples."""
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return {name: to_plain(part) for name, part in zip(tree._fields, tree, strict=True)}
    if isinstance(tree, list | tuple):
        return tuple(map(to_plain, tree))
    if isinstance(tree, dict):
        return {name: to_plain(part) for name, part in tree.items()}
    return tree


def from_plain(like: Any, plain: Any) -> Any:
    """The inverse of ``to_plain``, with the structure of ``like``."""
    if isinstance(like, tuple) and hasattr(like, "_fields"):
        return type(like)(**{n: from_plain(getattr(like, n), plain[n]) for n in like._fields})
    if isinstance(like, list | tuple):
        return type(like)(from_plain(a, b) for a, b in zip(like, plain, strict=True))
    if isinstance(like, dict):
        return {name: from_plain(part, plain[name]) for name, part in like.items()}
    return plain

"""Trees written in brackets, as in treebanks."""

import re

from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax.tree.forest import Tree

TOKEN = re.compile(r"[()]|[^ \t\r\n()]+")  # words may contain other spaces


def from_brackets(text: str) -> Tree:
    """Reads a tree such as ``(3 (2 It) (4 (3 's) (4 lovely)))``.

    A node is written as a bracket with its label, and its children or its word. Nodes are numbered
    as they begin: the root is 0. A word among a node's other children is a leaf without a label,
    ``""``; such leaves come last.

    Args:
        text: One tree. Brackets that are words are written otherwise, such as ``-LRB-``.

    Returns:
        A ``Tree`` with labels and words.

    Raises:
        ValueError, TypeError: For text that is not one tree; the error names the character.
    """
    if not isinstance(text, str):
        raise WrongType(f"text: expected a tree in brackets, got {type(text).__name__}")
    labels: list[str] = []
    open_nodes: list[int] = []
    parts: list[list[int | str]] = []  # children and words, in their order
    needs_label = False
    for match in TOKEN.finditer(text):
        token, at = match.group(), match.start()
        if labels and not open_nodes:
            raise WrongValue(f"text: expected one tree, got more at character {at}: {token!r}")
        if token == "(":
            if needs_label:
                raise WrongValue(f"text: expected a label at character {at}, got '('")
            if open_nodes:
                parts[open_nodes[-1]].append(len(labels))
            open_nodes.append(len(labels))
            labels.append("")
            parts.append([])
            needs_label = True
        elif not open_nodes:
            raise WrongValue(f"text: expected '(' at character {at}, got {token!r}")
        elif needs_label:
            if token == ")":
                raise WrongValue(f"text: expected a label at character {at}, got ')'")
            labels[open_nodes[-1]] = token
            needs_label = False
        elif token == ")":
            node = open_nodes.pop()
            if not parts[node]:
                raise WrongValue(f"text: expected a word or children at character {at}, got ')'")
        else:
            parts[open_nodes[-1]].append(token)
    if not labels:
        raise WrongValue("text: expected a tree in brackets, got an empty tree")
    if open_nodes:
        raise WrongValue(f"text: expected {len(open_nodes)} more ')' at the end, got none")
    return _assemble(labels, parts)


def _assemble(labels: list[str], parts: list[list[int | str]]) -> Tree:
    """A node with one word is a leaf; words beside other children become leaves of their own."""
    children: list[list[int]] = [[] for _ in labels]
    words: list[str | None] = [None for _ in labels]
    for node in range(len(parts)):
        inside = parts[node]
        if len(inside) == 1 and isinstance(inside[0], str):
            words[node] = inside[0]
            continue
        for part in inside:
            if isinstance(part, str):
                children.append([])
                labels.append("")
                words.append(part)
                part = len(labels) - 1
            children[node].append(part)
    return Tree(children, labels, words)

"""Expressions of ListOps as trees and as sequences."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

import lstm_jax as lj
from experiments.structures._training import Item
from lstm_jax import train
from lstm_jax.tasks.formal import listops
from lstm_jax.tasks.formal.listops import CLOSE, OPEN, PAD, Expressions

MOST_LISTS = 20  # open at once
DEEPEST = MOST_LISTS + 1  # levels of a list's tree, with the digits of the innermost list
SYMBOLS = PAD + 1  # ids of tokens are their numbers plus one; 0 is none


def draw(seed: int, count: int, longest: int, max_args: int, seen: set[bytes]) -> Expressions:
    """Different expressions, none of them in ``seen``, to which they are added."""
    rng = np.random.RandomState((listops.KEY, seed))
    drawn = listops.draw_distinct(
        "longest", rng, count, listops.SHORTEST, longest, MOST_LISTS, max_args, seen
    )
    seen |= set(map(listops.name, drawn.tokens))
    return drawn


class Part(NamedTuple):
    """A list in an expression: its first token, its closing bracket, and its value."""

    first: int
    last: int
    value: int


def wholes(expressions: Expressions) -> list[list[Part]]:
    """Of each expression the list that is all of it."""
    return [
        [Part(0, int(length) - 1, int(value))]
        for length, value in zip(expressions.lengths, expressions.values, strict=True)
    ]


def all_lists(expressions: Expressions, held_out: set[bytes]) -> list[list[Part]]:
    """Of each expression its lists, those within others included, but for those in ``held_out``."""
    spans: list[tuple[int, int, int]] = []
    for number, (tokens, length) in enumerate(
        zip(expressions.tokens, expressions.lengths, strict=True)
    ):
        open_lists: list[int] = []
        for place, token in enumerate(tokens[:length].tolist()):
            if token == CLOSE:
                first = open_lists.pop()
                if tokens[first : place + 1].tobytes() not in held_out:
                    spans.append((number, first, place))
            elif token >= OPEN:
                open_lists.append(place)
    found: list[list[Part]] = [[] for _ in expressions.lengths]
    for start in range(0, len(spans), listops.ROUND):  # of which evaluate makes large arrays
        some = spans[start : start + listops.ROUND]
        rows = np.full((len(some), expressions.tokens.shape[1]), PAD, np.uint8)
        for row, (number, first, last) in zip(rows, some, strict=True):
            row[: last + 1 - first] = expressions.tokens[number, first : last + 1]
        for (number, first, last), value in zip(some, listops.evaluate(rows), strict=True):
            found[number].append(Part(first, last, int(value)))
    return found


class Parsed(NamedTuple):
    """The tree of an expression, the id at each node, and the node of each closed list, by the
    place of its bracket."""

    tree: lj.tree.Tree
    ids: list[int]
    closed: dict[int, int]


def list_tree(tokens: np.ndarray) -> Parsed:
    """A node per operator, with its arguments as children, and a leaf per digit."""
    children: list[list[int]] = []
    ids: list[int] = []
    closed: dict[int, int] = {}
    open_lists: list[int] = []
    for place, token in enumerate(tokens.tolist()):
        if token == CLOSE:
            closed[place] = open_lists.pop()
            continue
        node = len(ids)
        ids.append(token + 1)
        children.append([])
        if open_lists:
            children[open_lists[-1]].append(node)
        if token >= OPEN:
            open_lists.append(node)
    return Parsed(lj.tree.Tree(children), ids, closed)


def binary_tree(tokens: np.ndarray) -> Parsed:
    """The parse that Nangia & Bowman 2018 give to their TreeLSTM, in which each node of a list
    joins what is before with one more argument: ``((([MAX 4) 0) ])``."""
    children: list[list[int]] = []
    ids: list[int] = []
    closed: dict[int, int] = {}
    parts: list[int] = []  # what has been read of each open list

    def add(below: list[int], symbol: int) -> int:
        children.append(below)
        ids.append(symbol)
        return len(ids) - 1

    for place, token in enumerate(tokens.tolist()):
        node = add([], token + 1)
        if token < OPEN:
            parts[-1] = add([parts[-1], node], 0)
        elif token == CLOSE:
            closed[place] = add([parts.pop(), node], 0)
            if parts:
                parts[-1] = add([parts[-1], closed[place]], 0)
        else:
            parts.append(node)
    return Parsed(lj.tree.Tree(children), ids, closed)


def tree_items(
    expressions: Expressions, lists: list[list[Part]], parse: Callable[[np.ndarray], Parsed]
) -> list[Item]:
    """Expressions as trees, in which the nodes of ``lists`` have a class: the value."""
    items = []
    for tokens, length, parts in zip(expressions.tokens, expressions.lengths, lists, strict=True):
        tree, ids, closed = parse(tokens[:length])
        targets, weights = np.zeros(len(ids), np.int32), np.zeros(len(ids), np.float32)
        for part in parts:
            targets[closed[part.last]], weights[closed[part.last]] = part.value, 1.0
        items.append(Item(tree, np.array(ids, np.int32), targets, weights))
    return items


def sequences(expressions: Expressions, lists: list[list[Part]]) -> train.Dataset:
    """The lists as sequences of ids, each once, and their values."""
    found: dict[bytes, int] = {}
    for tokens, parts in zip(expressions.tokens, lists, strict=True):
        for first, last, value in parts:
            found.setdefault(tokens[first : last + 1].tobytes(), value)
    rows = [np.frombuffer(name, np.uint8).astype(np.int32) + 1 for name in found]
    return train.Dataset(rows, np.array(list(found.values()), np.int32))

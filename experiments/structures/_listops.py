"""Expressions of ListOps as trees and as sequences."""

from typing import Any

import numpy as np

import lstm_jax as lj
from experiments.structures._training import Item
from lstm_jax.tasks.formal import listops
from lstm_jax.tasks.formal.listops import CLOSE, OPEN, PAD, Expressions

SYMBOLS = PAD + 1  # ids of tokens are their numbers plus one; 0 is none


def draw(seed: int, count: int, longest: int, max_args: int, seen: set[bytes]) -> Expressions:
    """Different expressions, none of them in ``seen``, to which they are added."""
    rng = np.random.RandomState((listops.KEY, seed))
    drawn = listops.draw_distinct(
        "longest", rng, count, listops.SHORTEST, longest, 20, max_args, seen
    )
    seen |= set(map(listops.name, drawn.tokens))
    return drawn


def list_tree(tokens: np.ndarray) -> tuple[lj.tree.Tree, list[int]]:
    """A node per operator, with its arguments as children, and a leaf per digit."""
    children: list[list[int]] = []
    ids: list[int] = []
    open_lists: list[int] = []
    for token in tokens:
        if token == CLOSE:
            open_lists.pop()
            continue
        node = len(ids)
        ids.append(int(token) + 1)
        children.append([])
        if open_lists:
            children[open_lists[-1]].append(node)
        if token >= OPEN:
            open_lists.append(node)
    return lj.tree.Tree(children), ids


def binary_tree(tokens: np.ndarray) -> tuple[lj.tree.Tree, list[int]]:
    """The parse that Nangia & Bowman 2018 give to their TreeLSTM, in which each node of a list
    joins what is before with one more argument: ``((([MAX 4) 0) ])``."""
    children: list[list[int]] = []
    ids: list[int] = []
    parts: list[int] = []  # what has been read of each open list

    def add(below: list[int], symbol: int) -> int:
        children.append(below)
        ids.append(symbol)
        return len(ids) - 1

    for token in tokens:
        node = add([], int(token) + 1)
        if token < OPEN:
            parts[-1] = add([parts[-1], node], 0)
        elif token == CLOSE:
            done = add([parts.pop(), node], 0)
            if parts:
                parts[-1] = add([parts[-1], done], 0)
        else:
            parts.append(node)
    return lj.tree.Tree(children), ids


def tree_items(expressions: Expressions, make: Any) -> list[Item]:
    """Expressions as trees, of which only the root has a class: the value."""
    items = []
    for tokens, length, value in zip(*expressions, strict=True):
        tree, ids = make(tokens[:length])
        root = len(ids) - 1 if make is binary_tree else 0
        targets, weights = np.zeros(len(ids), np.int32), np.zeros(len(ids), np.float32)
        targets[root], weights[root] = value, 1.0
        items.append(Item(tree, np.array(ids, np.int32), targets, weights))
    return items


def sequences(expressions: Expressions) -> list[np.ndarray]:
    """Expressions as sequences of ids."""
    return [
        tokens[:length].astype(np.int32) + 1
        for tokens, length in zip(expressions.tokens, expressions.lengths, strict=True)
    ]

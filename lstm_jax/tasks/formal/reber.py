"""The embedded Reber grammar: predict the next symbol; the second one decides the last but one."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.tasks import logistic
from lstm_jax.tasks.pairs.data import host_generator
from lstm_jax.tasks.rows import sample_rows
from lstm_jax.tasks.settings import under_default_settings
from lstm_jax.tasks.task import HELD_OUT, Batch, Score, Sequences, Success, Task

SYMBOLS = "BTPSXVE"
STRINGS = 256  # in each of the training set and the test set
SHORTEST = 8  # symbols to read: BTBTXSET, of which the last E is only predicted

# Where each symbol leads from a node; strings end at the node without edges.
REBER: dict[int, dict[str, int]] = {
    0: {"B": 1},
    1: {"T": 2, "P": 3},
    2: {"S": 2, "X": 4},
    3: {"T": 3, "V": 5},
    4: {"X": 3, "S": 6},
    5: {"P": 4, "V": 6},
    6: {"E": 7},
    7: {},
}


def _embedded() -> dict[Any, dict[str, Any]]:
    """Two copies of the Reber grammar, one between two T, the other between two P."""
    graph: dict[Any, dict[str, Any]] = {
        "start": {"B": "choice"},
        "choice": {side: (side, 0) for side in "TP"},
        "last": {"E": "end"},
        "end": {},
    }
    for side in "TP":
        for node, edges in REBER.items():
            graph[side, node] = {symbol: (side, to) for symbol, to in edges.items()}
        graph[side, 7] = {side: "last"}
    return graph


EMBEDDED = _embedded()


class Targets(NamedTuple):
    """What is asked for at every step.

    symbols: the next one, as its place in ``SYMBOLS``; -1 past a string's end.
    legal: which symbols could have come instead, including itself; none past the end.
    """

    symbols: Int[Array, "T B"]
    legal: Bool[Array, "T B 7"]


@under_default_settings
def embedded_reber(pair: int = 0) -> Task:
    """Experiment 1 of Hochreiter & Schmidhuber 1997, section 5.1; the grammar and its picture are
    those of Cleeremans, Servan-Schreiber & McClelland 1989 and Fahlman 1991.

    ::

        step       1   2   3   4   5   6   7   8
        x          B   T   B   P   V   V   E   T
        target     T   B   P   V   V   E   T   E
        legal      TP  B   TP  TV  PV  E   T   E

    Strings are BT...TE or BP...PE around a Reber string, edges being taken with equal
    probabilities. Training draws from 256 strings; the paper's test set are 256 others, drawn
    alike, of which none is in the training set (either may hold a string twice).

    Inputs ``Sequences`` of one-hot symbols ``[T, B, 7]``, all but a string's last; ``Targets`` at
    every step. Loss: half the squared error of the logistic outputs towards the symbol that came,
    summed over outputs and steps. Score: the share of the steps at which the most active output
    is legal; chance and memoryless are the best single symbol and the best one for each current
    symbol, on the test data.
    Success: on ``validation``, which is both sets together (512 strings), every legal symbol is
    more active than every other one, at each step of each string. ``test`` has 1000 strings of
    neither set. ``test_at(length, n)``: n strings with exactly ``length`` symbols to read, at
    least 8, as likely as the grammar makes them among those; short ones are trained on.

    Args:
        pair: which pair of sets; the paper averages over three, say 0, 1 and 2.
    """
    rng = host_generator(pair=pair, strings=0)
    training = [walk(rng) for _ in range(STRINGS)]
    testing = _others(rng, STRINGS, training)
    train = encode(training)
    test = encode(_others(rng, HELD_OUT, training + testing))

    def take(rows: jax.Array) -> Batch:
        xs = Sequences(train.xs.values[:, rows], train.xs.lengths[rows])
        return Batch(xs, jax.tree.map(lambda leaf: leaf[:, rows], train.targets))

    @under_default_settings
    def test_at(length: int, n: int) -> Batch:
        if checking.positive_int("length", length) < SHORTEST:
            raise WrongValue(f"length: expected at least {SHORTEST}, got {length}")
        rng = host_generator(pair=pair, strings=1, length=length)
        choose = weight_at(length + 1)
        return encode([walk(rng, choose) for _ in range(checking.positive_int("n", n))])

    return Task(
        name=f"embedded_reber(pair={pair})",
        input_size=len(SYMBOLS),
        output_size=len(SYMBOLS),
        sample=sample_rows(STRINGS, take),
        validation=encode(training + testing),
        test=test,
        loss=squared_error,
        score=Score(
            "share of legal symbols",
            legal_share,
            higher_is_better=True,
            chance=best_constant(test),
            memoryless=best_of_current(test),
        ),
        reads="every",
        success=Success(
            steps_wrong,
            limit=1,
            mean_limit=math.inf,
            rows=2 * STRINGS,
            source="Hochreiter & Schmidhuber 1997, experiment 1",
        ),
        test_at=test_at,
    )


Weight = Callable[[Any, int], float]


def walk(rng: np.random.Generator, weight: Weight = lambda node, steps: 1.0) -> str:
    """A string of the embedded grammar.

    Args:
        weight: ``(node, symbols so far)``, the factor of an edge that leads there.
    """
    node, string = "start", ""
    while edges := EMBEDDED[node]:
        chances = np.cumsum([weight(to, len(string) + 1) for to in edges.values()])
        choice = np.searchsorted(chances, rng.random() * chances[-1], side="right")
        symbol = list(edges)[choice]
        node, string = edges[symbol], string + symbol
    return string


def weight_at(length: int) -> Weight:
    """The weight that gives each string of ``length`` symbols its probability among these."""
    ends = [{node: float(not edges) for node, edges in EMBEDDED.items()}]
    for _ in range(length):
        ends.append(
            {
                node: sum(ends[-1][to] for to in edges.values()) / max(len(edges), 1)
                for node, edges in EMBEDDED.items()
            }
        )
    return lambda node, steps: ends[length - steps][node]


def _others(rng: np.random.Generator, count: int, known: list[str]) -> list[str]:
    others: list[str] = []
    while len(others) < count:
        if (string := walk(rng)) not in known:
            others.append(string)
    return others


def encode(strings: list[str]) -> Batch:
    """Strings of the grammar, padded to the longest."""
    steps = max(len(string) for string in strings) - 1
    lengths = np.array([len(string) - 1 for string in strings], np.int32)
    symbols = np.full((steps + 1, len(strings)), -1, np.int32)
    legal = np.zeros((steps, len(strings), len(SYMBOLS)), bool)
    for row, string in enumerate(strings):
        node: Any = "start"
        for t, symbol in enumerate(string):
            symbols[t, row] = SYMBOLS.index(symbol)
            node = EMBEDDED[node][symbol]
            for following in EMBEDDED[node]:
                legal[t, row, SYMBOLS.index(following)] = True
    values = np.eye(len(SYMBOLS) + 1, len(SYMBOLS), dtype=np.float32)[symbols[:-1]]
    values[np.arange(steps)[:, None] >= lengths] = 0
    xs = Sequences(jnp.asarray(values), jnp.asarray(lengths))
    return Batch(xs, Targets(jnp.asarray(symbols[1:]), jnp.asarray(legal)))


def squared_error(outputs: Float[Array, "T B 7"], batch: Batch) -> Float[Array, ""]:
    return logistic.squared_error(outputs, Batch(batch.xs, batch.targets.symbols))


def legal_share(outputs: Float[Array, "T B 7"], batch: Batch) -> Float[Array, ""]:
    """The share of the steps at which the most active output is a legal symbol."""
    legal = batch.targets.legal
    best = jnp.argmax(outputs, axis=-1, keepdims=True)
    right = jnp.take_along_axis(legal, best, axis=-1).sum()
    return right.astype(jnp.float32) / legal.any(axis=-1).sum().astype(jnp.float32)


def steps_wrong(outputs: Float[Array, "T B 7"], batch: Batch) -> Float[Array, "B"]:
    """At how many steps of a row some legal symbol is not more active than all illegal ones."""
    legal = batch.targets.legal
    weakest = jnp.where(legal, outputs, jnp.inf).min(axis=-1)
    strongest = jnp.where(legal, -jnp.inf, outputs).max(axis=-1)
    # Not "weakest <= strongest", which NaN would pass.
    return (~(weakest > strongest) & legal.any(axis=-1)).sum(axis=0).astype(jnp.float32)


def best_constant(batch: Batch) -> float:
    legal = np.asarray(batch.targets.legal)
    return float(legal.sum(axis=(0, 1)).max() / legal.any(axis=-1).sum())


def best_of_current(batch: Batch) -> float:
    legal, values = np.asarray(batch.targets.legal), np.asarray(batch.xs.values)
    together = np.einsum("tbx,tby->xy", values, legal.astype(float))
    return float(together.max(axis=1).sum() / legal.any(axis=-1).sum())

"""ListOps: the value of a nested expression of lists of digits."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, UInt8

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.tasks import classes
from lstm_jax.tasks.rows import sample_rows
from lstm_jax.tasks.settings import under_default_settings
from lstm_jax.tasks.task import HELD_OUT, Batch, Sequences, Task

OPERATORS = ("[MIN", "[MAX", "[MED", "[SM")
TOKENS = (*"0123456789", *OPERATORS, "]")  # by number
OPEN, CLOSE, PAD = 10, 14, 15  # the first operator, the bracket, and no token
SHORTEST = 4  # tokens: a list of two digits
NESTED = 0.25  # the share of arguments that are lists themselves
ROUND = 20_000  # expressions drawn at once
KEY = 1997  # seeds NumPy's RandomState, with a number for each part; the same in all versions


class Expressions(NamedTuple):
    """Expressions, one per row.

    tokens: ``[N, T]``, PAD past a row's length.
    lengths, values: ``[N]``.
    """

    tokens: np.ndarray
    lengths: np.ndarray
    values: np.ndarray


@under_default_settings
def listops(
    min_length: int = 20,
    max_length: int = 100,
    *,
    max_depth: int = 20,
    max_args: int = 5,
    training: int = 50_000,
) -> Task:
    """The ListOps of Nangia & Bowman 2018, "ListOps: A diagnostic dataset for latent tree
    learning", as Tay et al. 2021, "Long Range Arena", section 2.2.1, draw it: without the
    parentheses that would show the tree, and of chosen lengths.

        input    [MAX  4  [SM  9  8  ]  0  ]
        class                              7

    This is the largest of 4, of 9 + 8 modulo 10, and of 0.

    Operators are MIN, MAX, MED (the median; of two middle values the mean, rounded down) and SM
    (the sum modulo 10). Each list has an operator and 2 to ``max_args`` arguments, all numbers
    being as likely; an argument is a list with probability 1/4, and a digit otherwise, or if
    ``max_depth`` would be exceeded. Of the expressions so drawn, those of ``min_length`` to
    ``max_length`` tokens are kept, each once.

    Inputs: ``Sequences`` of one-hot tokens ``[max_length, B, 15]``, in the order of ``TOKENS``.
    Classes ``[B]``, the value, asked for at the last step. Loss: cross-entropy in nats. Score:
    accuracy; chance is the share of the commonest value in the test part, and so is memoryless:
    the last step is a closing bracket in every row. The task counts as solved above 95 %.
    ``test_at`` gives expressions whose lengths are within 10 % of the one asked for, at least 4.

    The defaults of depth and arguments are Nangia & Bowman's. Long Range Arena is
    ``listops(501, 1999, max_depth=10, max_args=10, training=96_000)``.

    Args:
        min_length, max_length: of the expressions, in tokens, at least 4.
        max_depth: the outermost list is at 1, its arguments at 2.
        max_args: the most arguments of a list, at least 2.
        training: expressions to train on, drawn from with replacement; none of them is held out.

    Raises:
        ValueError: if there are too few expressions of these lengths, or they are too rare.
    """
    min_length = checking.positive_int("min_length", min_length)
    max_length = checking.positive_int("max_length", max_length)
    max_depth = checking.positive_int("max_depth", max_depth)
    max_args = checking.positive_int("max_args", max_args)
    training = checking.positive_int("training", training)
    for argument, value in (("max_depth", max_depth), ("max_args", max_args)):
        if value < 2:
            raise WrongValue(f"{argument}: expected at least 2, got {value}")
    if min_length < SHORTEST:
        raise WrongValue(
            f"min_length: expected at least {SHORTEST}, a list of two digits, got {min_length}"
        )
    if max_length < min_length:
        raise WrongValue(
            f"max_length: expected at least min_length, {min_length}, got {max_length}"
        )

    seen: set[bytes] = set()

    def draw(argument: str, seeds: tuple[int, ...], count: int, low: int, high: int) -> Expressions:
        rng = np.random.RandomState((KEY, *seeds))
        return draw_distinct(argument, rng, count, low, high, max_depth, max_args, seen)

    # Held-out parts come first, so that they are the same whatever the size of the training part.
    parts = []
    for seed, (argument, count) in enumerate(
        (("max_length", HELD_OUT), ("max_length", HELD_OUT), ("training", training))
    ):
        parts.append(draw(argument, (seed,), count, min_length, max_length))
        seen |= set(map(name, parts[-1].tokens))
    validation, test = parts[:2]
    tokens, lengths, values = (jnp.asarray(of) for of in parts[2])

    def take(rows: jax.Array) -> Batch:
        return as_batch(tokens[rows], lengths[rows], values[rows])

    @under_default_settings
    def test_at(length: int, n: int) -> Batch:
        length, n = checking.positive_int("length", length), checking.positive_int("n", n)
        if length < SHORTEST:
            raise WrongValue(f"length: expected at least {SHORTEST}, got {length}")
        low, high = -(-9 * length // 10), 11 * length // 10
        drawn = draw("length", (len(parts), length), n, low, high)
        return as_batch(*map(jnp.asarray, drawn))

    share = classes.majority_accuracy(test.values)
    return Task(
        name=f"listops({min_length} to {max_length}, max_depth={max_depth}, max_args={max_args}, "
        f"training={training})",
        input_size=len(TOKENS),
        output_size=10,
        sample=sample_rows(training, take),
        validation=as_batch(*map(jnp.asarray, validation)),
        test=as_batch(*map(jnp.asarray, test)),
        loss=classes.cross_entropy,
        score=classes.accuracy_score(share, share),
        success=classes.accuracy_success(0.95, HELD_OUT, "lstm_jax"),
        test_at=test_at,
    )


def as_batch(
    tokens: UInt8[Array, "B T"], lengths: Int[Array, "B"], values: Int[Array, "B"]
) -> Batch:
    inputs = classes.one_hot(tokens.T.astype(jnp.int32), len(TOKENS))
    return Batch(Sequences(inputs, lengths), values)


def draw_distinct(
    argument: str,
    rng: np.random.RandomState,
    count: int,
    low: int,
    high: int,
    max_depth: int,
    max_args: int,
    seen: set[bytes],
) -> Expressions:
    """``count`` expressions of ``low`` to ``high`` tokens, all different and none in ``seen``."""
    kept: list[np.ndarray] = []
    known = set(seen)
    idle = 0
    while len(kept) < count:
        before = len(kept)
        tokens, lengths = grow(rng, ROUND, high, max_depth, max_args)
        for row in tokens[lengths >= low]:
            if name(row) not in known:
                known.add(name(row))
                kept.append(row)
        idle = idle + 1 if len(kept) == before else 0
        if idle == 3:
            raise WrongValue(
                f"{argument}: expected {count} different expressions of {low} to {high} "
                f"tokens, got {len(kept)} with max_depth={max_depth} and "
                f"max_args={max_args}: choose other lengths, or fewer expressions"
            )
    tokens = np.stack(kept[:count])
    return Expressions(tokens, (tokens != PAD).sum(axis=1).astype(np.int32), evaluate(tokens))


def name(row: UInt8[np.ndarray, "T"]) -> bytes:
    """The expression without its padding."""
    return row.tobytes().rstrip(bytes([PAD]))


def grow(
    rng: np.random.RandomState, count: int, max_length: int, max_depth: int, max_args: int
) -> tuple[UInt8[np.ndarray, "N T"], Int[np.ndarray, "N"]]:
    """``count`` random lists, token by token in all rows at once: tokens, and lengths, which are 0
    if ``max_length`` is too short for the list."""
    tokens = np.full((count, max_length), PAD, np.uint8)
    lengths = np.zeros(count, int)
    missing = np.zeros((count, max_depth), np.int16)  # arguments, of each list that is open
    missing[:, 0] = 1  # the list itself
    depth = np.zeros(count, np.int16)  # lists that are open
    least = np.ones(count, int)  # tokens that must follow
    rows = np.arange(count)
    for t in range(max_length):
        closes = missing[rows, depth[rows]] == 0
        nested = (rng.random_sample(len(rows)) < NESTED) & (depth[rows] < max_depth - 1)
        opens = ~closes & (nested | (t == 0))
        symbol = np.where(opens, OPEN + rng.randint(0, 4, len(rows)), rng.randint(0, 10, len(rows)))
        tokens[rows, t] = np.where(closes, CLOSE, symbol)
        missing[rows[~closes], depth[rows[~closes]]] -= 1
        least[rows] -= 1
        depth[rows[closes]] -= 1
        opened = rows[opens]
        depth[opened] += 1
        arguments = rng.randint(2, max_args + 1, len(opened))
        missing[opened, depth[opened]] = arguments
        least[opened] += arguments + 1
        lengths[rows[depth[rows] == 0]] = t + 1
        rows = rows[(depth[rows] > 0) & (t + 1 + least[rows] <= max_length)]
    return tokens, lengths


def evaluate(tokens: UInt8[np.ndarray, "N T"]) -> Int[np.ndarray, "N"]:
    """The values, of all rows at once."""
    opens, closes = (tokens >= OPEN) & (tokens < CLOSE), tokens == CLOSE
    deepest = int((opens.cumsum(axis=1) - closes.cumsum(axis=1)).max())
    operators = np.zeros((len(tokens), deepest + 1), int)
    counts = np.zeros((len(tokens), deepest + 1, 10), int)  # of each value among the arguments
    depth = np.zeros(len(tokens), int)
    for t in range(tokens.shape[1]):
        opened, closed = np.flatnonzero(opens[:, t]), np.flatnonzero(closes[:, t])
        digit = np.flatnonzero(tokens[:, t] < OPEN)
        counts[digit, depth[digit], tokens[digit, t]] += 1
        depth[opened] += 1
        operators[opened, depth[opened]] = tokens[opened, t] - OPEN
        counts[opened, depth[opened]] = 0
        value = apply_operators(operators[closed, depth[closed]], counts[closed, depth[closed]])
        depth[closed] -= 1
        counts[closed, depth[closed], value] += 1
    return counts[:, 0].argmax(axis=1).astype(np.int32)


def apply_operators(
    operators: Int[np.ndarray, "N"], counts: Int[np.ndarray, "N 10"]
) -> Int[np.ndarray, "N"]:
    """Each operator's result for arguments of which the values 0 to 9 occur ``counts`` times."""
    up_to = counts.cumsum(axis=1)
    size = up_to[:, -1:]

    def ranked(rank: np.ndarray) -> np.ndarray:
        """The value in place ``rank [N, 1]`` of the sorted arguments, from 0."""
        return (up_to <= rank).sum(axis=1)

    median = (ranked((size - 1) // 2) + ranked(size // 2)) // 2
    total = counts @ np.arange(10) % 10
    results = np.stack([ranked(np.zeros_like(size)), ranked(size - 1), median, total])
    return results[operators, np.arange(len(operators))]

"""Parity and even pairs: one bit of state, over strings of two symbols.

Both are regular languages of Delétang et al. 2022, "Neural networks and the Chomsky hierarchy",
where a network is trained on lengths 1 to 40, and its score is the mean accuracy at 41 to 500.
Beck et al. 2024, "xLSTM", train on 3 to 40, test on 40 to 256, and give a scaled accuracy,
``(accuracy - chance) / (1 - chance)``.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.tasks.classes import (
    accuracy_score,
    accuracy_success,
    classes_from_uniform,
    cross_entropy,
)
from lstm_jax.tasks.ranges import (
    Choices,
    format_range,
    length_choices,
    lengths_from_uniform,
    one_hot_sequences,
    range_task,
    share_of_length,
    step_mask,
)
from lstm_jax.tasks.task import HELD_OUT, Batch, Task

# symbols [T, B] and lengths [B] to classes [B]
Language = Callable[[jax.Array, jax.Array], jax.Array]


def parity(min_length: int = 1, max_length: int = 40) -> Task:
    """Parity check (Delétang et al. 2022): whether the number of 1s is odd::

        inputs   0 1 1 0 1
        target           1

    Inputs ``Sequences`` of symbols 0 and 1, each as likely, one-hot, with T = max_length. Target
    ``[B]``, at a row's last step: 0 for even, 1 for odd. Loss is the cross-entropy, score the
    accuracy; the task counts as solved above 0.99 at the trained lengths.

    Chance is 1/2: both classes are as likely at every length. The last symbol alone gives the
    answer for strings of length 1, and tells nothing more.

    Args:
        min_length, max_length: of the training strings, at least 1; each length is as likely.
    """
    choices = length_choices(min_length, max_length)
    one = share_of_length(1, choices)
    return _task("parity", _odd, choices, chance=0.5, memoryless=0.5 + one / 2)


def even_pairs(min_length: int = 1, max_length: int = 40) -> Task:
    """Even pairs (Delétang et al. 2022): whether the number of 01 and 10 is odd, which is
    whether the last symbol differs from the first::

        inputs   0 1 1 0 1
        target           1

    Arguments, inputs, loss, score and success are those of ``parity``. Target ``[B]``: 0 if the
    ends are equal, 1 if they differ.

    Strings of length 1 are of class 0, all others of either class as often; so chance is 1/2 plus
    half the share of strings of length 1, and the last symbol alone tells nothing more.
    """
    choices = length_choices(min_length, max_length)
    chance = 0.5 + share_of_length(1, choices) / 2
    return _task("even_pairs", _ends_differ, choices, chance=chance, memoryless=chance)


def _odd(symbols: jax.Array, lengths: jax.Array) -> jax.Array:
    return jnp.sum(symbols * step_mask(lengths, symbols.shape[0]), axis=0) % 2


def _ends_differ(symbols: jax.Array, lengths: jax.Array) -> jax.Array:
    last = jnp.take_along_axis(symbols, lengths[None] - 1, axis=0)[0]
    return (symbols[0] != last).astype(jnp.int32)


def _task(
    name: str, language: Language, choices: np.ndarray, chance: float, memoryless: float
) -> Task:
    def draw(key: jax.Array, batch_size: int, choices: Choices) -> Batch:
        # One call of the generator for all: each takes a third of a second to compile.
        longest = int(choices[-1])
        uniform = jax.random.uniform(key, (longest + 1, batch_size))
        lengths = lengths_from_uniform(uniform[longest], choices)
        symbols = classes_from_uniform(uniform[:longest], 2)
        return Batch(one_hot_sequences(symbols, lengths, 2), language(symbols, lengths))

    return range_task(
        f"{name}({format_range(choices)})",
        draw,
        choices,
        input_size=2,
        output_size=2,
        loss=cross_entropy,
        score=accuracy_score(chance, memoryless),
        success=accuracy_success(0.99, HELD_OUT, "lstm_jax"),
    )

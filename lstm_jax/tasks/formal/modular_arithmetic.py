"""Modular arithmetic: the value of an expression without brackets."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
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
    single_length,
)
from lstm_jax.tasks.task import HELD_OUT, Batch, Task

OPERATORS = "+-*"


def modular_arithmetic(modulus: int = 5, min_length: int = 1, max_length: int = 40) -> Task:
    """Simple modular arithmetic of Delétang et al. 2022, "Neural networks and the Chomsky
    hierarchy", a regular language::

        inputs   1 + 2 * 3
        target           2    (7 modulo 5)

    Inputs ``Sequences`` of M + 3 symbols, one-hot: the numbers 0 to M - 1, then ``+``, ``-`` and
    ``*``; numbers and operators take turns, and all of each kind are equally likely. (The paper's
    inputs have one place more, for a blank that never comes.) Target ``[B]``, at a row's last step:
    the value modulo M, where ``*`` binds more tightly than ``+`` and ``-``. Loss is the
    cross-entropy, score the accuracy; the task counts as solved above 0.99 at the trained lengths.
    The paper's score is the mean accuracy at lengths 41 to 500.

    Chance is above 1 / M, as products are often 0.

    Args:
        modulus: M, at least 2.
        min_length, max_length: of the training strings, in symbols; each odd length is as likely.
    """
    modulus = checking.positive_int("modulus", modulus)
    if modulus < 2:
        raise WrongValue(f"modulus: expected at least 2, got {modulus}")
    choices = length_choices(min_length, max_length, remainder=1)

    def draw(key: jax.Array, batch_size: int, choices: Choices) -> Batch:
        # One call of the generator for all: each takes a third of a second to compile.
        longest = int(choices[-1])
        uniform = jax.random.uniform(key, (longest + 1, batch_size))
        lengths = lengths_from_uniform(uniform[longest], choices)
        numbers = classes_from_uniform(uniform[0:longest:2], modulus)
        operators = modulus + classes_from_uniform(uniform[1:longest:2], len(OPERATORS))
        symbols = jnp.zeros((longest, batch_size), jnp.int32)
        symbols = symbols.at[0::2].set(numbers).at[1::2].set(operators)
        targets = _values(symbols, lengths, modulus)
        return Batch(one_hot_sequences(symbols, lengths, modulus + len(OPERATORS)), targets)

    chance, memoryless = _baselines(choices, modulus)
    return range_task(
        f"modular_arithmetic({modulus}, {format_range(choices)})",
        draw,
        choices,
        choices_at=lambda length: single_length(length, remainder=1),
        input_size=modulus + len(OPERATORS),
        output_size=modulus,
        loss=cross_entropy,
        score=accuracy_score(chance, memoryless),
        success=accuracy_success(0.99, HELD_OUT, "lstm_jax"),
    )


def _values(symbols: Int[Array, "T B"], lengths: Int[Array, "B"], modulus: int) -> Int[Array, "B"]:
    """The automaton: the sum of the finished terms, and the current term."""

    def step(
        state: tuple[jax.Array, jax.Array], pair: tuple[jax.Array, ...]
    ) -> tuple[tuple[jax.Array, jax.Array], None]:
        (total, term), (position, operator, number) = state, pair
        times = operator == modulus + OPERATORS.index("*")
        signed = jnp.where(operator == modulus + OPERATORS.index("-"), -number, number)
        new_total = jnp.where(times, total, (total + term) % modulus)
        new_term = jnp.where(times, term * number, signed) % modulus
        go_on = position < lengths
        return (jnp.where(go_on, new_total, total), jnp.where(go_on, new_term, term)), None

    steps = symbols.shape[0]
    pairs = (jnp.arange(2, steps, 2), symbols[1::2], symbols[2::2])
    (total, term), _ = jax.lax.scan(step, (jnp.zeros_like(symbols[0]), symbols[0]), pairs)
    return (total + term) % modulus


def _baselines(choices: Int[np.ndarray, "N"], modulus: int) -> tuple[float, float]:
    """The best accuracies of a constant answer, and by the last number alone: from the probability
    of each state of the automaton, total by term, at each length."""
    states = np.zeros((modulus, modulus))
    states[0] = 1 / modulus  # after one number, which is the term
    by_last = np.zeros((modulus, modulus))  # number by value, of all lengths together
    if choices[0] == 1:
        by_last += np.eye(modulus)
    for length in range(3, int(choices[-1]) + 1, 2):
        after = np.stack([_after_operator(states, number) for number in range(modulus)])
        if length >= choices[0]:
            by_last += np.stack([_sums(states) for states in after])
        states = after.mean(axis=0)
    by_last /= len(choices)
    return float(by_last.mean(axis=0).max()), float(by_last.max(axis=1).mean())


def _after_operator(states: Float[np.ndarray, "M M"], number: int) -> Float[np.ndarray, "M M"]:
    """The probabilities after one more operator, each as likely, and this number."""
    modulus, sums = len(states), _sums(states)
    after = np.zeros_like(states)
    after[:, number] += sums / 3
    after[:, -number % modulus] += sums / 3
    for term in range(modulus):
        after[:, term * number % modulus] += states[:, term] / 3
    return after


def _sums(states: Float[np.ndarray, "M M"]) -> Float[np.ndarray, "M"]:
    """The probability of each value of total plus term."""
    total, term = np.indices(states.shape)
    return np.bincount(((total + term) % len(states)).ravel(), states.ravel(), len(states))

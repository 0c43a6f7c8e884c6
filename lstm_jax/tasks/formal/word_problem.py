"""The word problem of a group: the running product of its elements."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from lstm_jax._internal import checking
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
    mask_symbols,
    one_hot_sequences,
    range_task,
)
from lstm_jax.tasks.task import HELD_OUT, Batch, Task

# The cycles of permutations that generate each group.
GENERATORS: dict[str, list[list[list[int]]]] = {
    "Z2": [[[0, 1]]],
    "Z60": [[list(range(60))]],
    "S3": [[[0, 1]], [[0, 1, 2]]],
    "A4": [[[0, 1, 2]], [[0, 1], [2, 3]]],
    "S4": [[[0, 1]], [[0, 1, 2, 3]]],
    "A4xZ5": [[[0, 1, 2]], [[0, 1], [2, 3]], [[4, 5, 6, 7, 8]]],
    "A5": [[[0, 1, 2]], [[0, 1, 2, 3, 4]]],
    "S5": [[[0, 1]], [[0, 1, 2, 3, 4]]],
}


def word_problem(
    group: str = "S5", min_length: int = 1, max_length: int = 40, inputs: str = "all"
) -> Task:
    """The word problem of Merrill et al. 2024, "The illusion of state in state-space models":
    the product of all elements so far, at every step. Of the group Z2, which is parity::

        inputs   0 1 1 0 1
        targets  0 1 0 0 1

    Elements are permutations, numbered in the order of their images written as words, 0 for the
    identity; a product applies its factors from first to last. Inputs ``Sequences`` of elements,
    one-hot (of "generators": their place in that list), with T = max_length. Targets ``[T, B]``,
    at every step of a row: the number of the product. Loss is the cross-entropy, score the
    accuracy; the task counts as solved above 0.99 at the trained lengths.

    Chance is the share of the commonest product. As multiplying by the last element only renames
    the products before it, an answer by that element alone is right as often as one that guesses
    the commonest of those, the identity before the first step included.

    Args:
        group: S5 (120 elements) or A5 (60), which a linear state-space model of fixed depth cannot
            follow at every length, as the paper argues; its solvable groups of the same 60
            elements, A4xZ5 and Z60; or the small S4, A4, S3, Z2.
        min_length, max_length: of the training words; each length is as likely.
        inputs: "all" for words of all elements, as in the paper, or "generators" for words of a
            few: the identity, and those of ``GENERATORS`` (of S5: the transposition (0 1) and the
            cycle (0 1 2 3 4)); each is as likely.
    """
    checking.choice("group", group, GENERATORS)
    checking.choice("inputs", inputs, ("all", "generators"))
    choices = length_choices(min_length, max_length)
    elements, generators = elements_of(group)
    factors = np.arange(len(elements)) if inputs == "all" else generators
    table = products(elements)[:, factors]  # by product so far and input

    def draw(key: jax.Array, batch_size: int, choices: Choices) -> Batch:
        # One call of the generator for all: each takes a third of a second to compile.
        longest = int(choices[-1])
        uniform = jax.random.uniform(key, (longest + 1, batch_size))
        lengths = lengths_from_uniform(uniform[longest], choices)
        symbols = classes_from_uniform(uniform[:longest], len(factors))
        times = jnp.asarray(table)

        def step(product: jax.Array, symbol: jax.Array) -> tuple[jax.Array, jax.Array]:
            product = times[product, symbol]
            return product, product

        _, targets = jax.lax.scan(step, jnp.zeros(batch_size, jnp.int32), symbols)
        return Batch(
            one_hot_sequences(symbols, lengths, len(factors)), mask_symbols(targets, lengths)
        )

    chance, memoryless = _baselines(choices, table)
    return range_task(
        f"word_problem({group}, {inputs}, {format_range(choices)})",
        draw,
        choices,
        input_size=len(factors),
        output_size=len(elements),
        loss=cross_entropy,
        score=accuracy_score(chance, memoryless),
        reads="every",
        success=accuracy_success(0.99, HELD_OUT, "lstm_jax"),
    )


@functools.lru_cache(maxsize=len(GENERATORS))
def elements_of(group: str) -> tuple[Int[np.ndarray, "G P"], Int[np.ndarray, "S"]]:
    """All elements, each the images of the points 0 to P - 1, and the numbers of the generators,
    0 for the identity first."""
    points = 1 + max(max(cycle) for cycles in GENERATORS[group] for cycle in cycles)
    identity = tuple(range(points))
    generators = [identity]
    for cycles in GENERATORS[group]:
        image = list(identity)
        for cycle in cycles:
            for point, onto in zip(cycle, cycle[1:] + cycle[:1], strict=True):
                image[point] = onto
        generators.append(tuple(image))
    found, new = {identity}, {identity}
    while new:
        new = {tuple(g[p] for p in element) for element in new for g in generators} - found
        found |= new
    elements = sorted(found)
    return np.array(elements), np.array([elements.index(g) for g in generators])


def products(elements: Int[np.ndarray, "G P"]) -> Int[np.ndarray, "G G"]:
    """The number of "first ``a``, then ``b``", by a and b."""
    number = {tuple(element): index for index, element in enumerate(elements.tolist())}
    table = [[number[tuple(row)] for row in elements[:, a].tolist()] for a in elements]
    return np.array(table, np.int32)


def _baselines(choices: Int[np.ndarray, "N"], table: Int[np.ndarray, "G S"]) -> tuple[float, float]:
    """The best accuracies of a constant answer, and by the current element alone: from how often
    each product stands after and before a step that is asked for."""
    order, inputs = table.shape
    product = np.eye(order)[0]
    before, after = np.zeros(order), np.zeros(order)
    for step in range(int(choices[-1])):
        asked = np.mean(choices > step)
        before += asked * product
        weights = np.repeat(product / inputs, inputs)
        product = np.bincount(table.ravel(), weights, order)
        after += asked * product
    return float(after.max() / after.sum()), float(before.max() / before.sum())

"""A cell with a linear readout, its parameter count, and the hidden size that fits a budget."""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from lstm_jax import checking
from lstm_jax.cell import Cell, Params
from lstm_jax.tasks.task import Sequences
from lstm_jax.train.truncated import unroll_truncated
from lstm_jax.unrolling import unroll


class Model(NamedTuple):
    """Pure functions from what a task shows to what it asks for.

    size: the hidden size H, for tables.
    init: ``(key) -> params``.
    apply: ``(params, xs, *, key=None) -> outputs``, what the loss is computed of; the key draws
        noise, and without it there is none.
    answer: ``(params, xs) -> answers``, what the score is computed of. For a model that answers
        at once, its outputs; for one that writes its answer step by step, what it writes.
    source: the ``Description`` by which ``save_model`` has it made anew; None where it is made
        otherwise than by ``recurrent`` of a registered cell.
    """

    size: int
    init: Callable[[Key[Array, ""]], Params]
    apply: Callable[..., jax.Array]
    answer: Callable[[Params, Any], Any]
    source: Any = None


def recurrent(
    cell: Cell,
    input_size: int,
    output_size: int,
    *,
    reads: str = "last",
    truncate: int | None = None,
    random_offset: bool = False,
) -> Model:
    """``cell`` unrolled from its initial state over ``xs [T, *batch, D]``, then ``y w + b``.

    xs may be ``Sequences``, whose rows differ in length.
    reads: "last" for an output ``[*batch, O]`` at each row's last step, "every" for ``[T, *batch,
        O]``. Params ``{"cell": ..., "readout": {"w" [H, O], "b" [O]}}``; the readout starts with
        LeCun's normal weights and zero biases. The key draws a noisy cell's noise.
    truncate: steps of a chunk in which gradients stay (``unroll_truncated``); None for whole
        sequences. The outputs are the same.
    random_offset: draw the steps of the first chunk from the key, anew at each call, so that no
        boundary stands at the same place always; without a key all chunks are whole.
    """
    checking.the_cell("cell", cell)
    input_size = checking.positive_int("input_size", input_size)
    output_size = checking.positive_int("output_size", output_size)
    checking.choice("reads", reads, ("last", "every"))
    if truncate is not None:
        truncate = checking.positive_int("truncate", truncate)
    if checking.flag("random_offset", random_offset) and truncate is None:
        raise ValueError("random_offset: got True; takes False without truncate")

    def init(key: Key[Array, ""]) -> Params:
        key_cell, key_readout = jax.random.split(checking.random_key("key", key))
        w = jax.nn.initializers.lecun_normal()(key_readout, (cell.size, output_size))
        readout = {"w": w, "b": jnp.zeros(output_size)}
        return {"cell": cell.init(key_cell, input_size), "readout": readout}

    def outputs(params: Params, xs: Any, key: Any, **chunks: Any) -> jax.Array:
        values, lengths = xs if isinstance(xs, Sequences) else (xs, None)
        run: Callable[..., Any] = unroll_truncated if chunks else unroll
        _, ys = run(cell, params["cell"], values, lengths=lengths, key=key, **chunks)
        if reads == "last":
            if ys.shape[0] == 0:
                raise ValueError(
                    f"xs: got shape {values.shape}; takes T of at least 1 to read from"
                )
            ys = ys[-1] if lengths is None else last_of(ys, lengths)
        return ys @ params["readout"]["w"] + params["readout"]["b"]

    def answer(
        params: Params,
        xs: Float[Array, "T *batch D"] | Sequences,
        *,
        key: Key[Array, ""] | None = None,
    ) -> jax.Array:
        return outputs(params, xs, key)

    def apply(
        params: Params,
        xs: Float[Array, "T *batch D"] | Sequences,
        *,
        key: Key[Array, ""] | None = None,
    ) -> jax.Array:
        if truncate is None:
            return outputs(params, xs, key)
        offset: Any = 0
        if random_offset and key is not None:
            key, offset_key = jax.random.split(key)
            offset = jax.random.randint(offset_key, (), 0, truncate)
        return outputs(params, xs, key, every=truncate, offset=offset)

    return Model(cell.size, init, apply, answer)


def last_of(ys: Float[Array, "T *batch H"], lengths: Int[Array, "*batch"]) -> jax.Array:
    """Each row's output at its last step ``[*batch, H]``."""
    last = jnp.maximum(lengths - 1, 0)[None, ..., None]
    return jnp.take_along_axis(ys, last, axis=0)[0]


def count_parameters(model: Model) -> int:
    """The number of trained numbers, readout included; nothing is computed."""
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


def size_for(make: Callable[[int], Cell], budget: int, input_size: int, output_size: int) -> int:
    """The hidden size of a cell with a readout that comes nearest to ``budget`` parameters.

    make: the factory as a function of the hidden size, such as ``lj.lstm``. See ``size_near``.
    """
    return size_near(lambda size: recurrent(make(size), input_size, output_size), budget)


def size_near(
    make: Callable[[int], Any], budget: int, count: Callable[[Any], int] = count_parameters
) -> int:
    """The size at which ``count(make(size))``, of a model its parameters, is nearest to ``budget``.

    Of two sizes equally near, the smaller. Raises ValueError for a budget below the count at
    size 1, and for one that is not reached because the count stops growing with the size.
    """
    budget = checking.positive_int("budget", budget)

    @functools.cache
    def counted(size: int) -> int:
        return count(make(size))

    if budget < counted(1):
        raise ValueError(f"budget: got {budget}; takes at least {counted(1)}, the count at size 1")
    low, high = 1, 4
    while counted(high) < budget:
        low, high = high, 4 * high
        if counted(high) <= counted(low):
            raise ValueError(
                f"budget: got {budget}; takes at most {counted(low)}, the count at size {low}, "
                f"which does not grow: it is {counted(high)} at size {high}"
            )
    # counted(low) <= budget <= counted(high): counts grow with the size, about as its square, so
    # that the first guess is near; halving in turn ends the search whatever they do.
    guess = True
    while high - low > 1:
        share, (below, above) = 0.5, (math.sqrt(counted(size)) for size in (low, high))
        if guess and below < above:
            share = (math.sqrt(budget) - below) / (above - below)
        middle = min(max(low + round(share * (high - low)), low + 1), high - 1)
        low, high = (middle, high) if counted(middle) <= budget else (low, middle)
        guess = not guess
    return min((low, high), key=lambda size: (abs(counted(size) - budget), size))


def state_size(cell: Cell) -> int:
    """The numbers in the state of one row, which the cell carries from step to step."""
    params = jax.eval_shape(lambda key: cell.init(key, 1), jax.random.key(0))
    state = jax.eval_shape(lambda params: cell.initial_state(params), params)
    return sum(leaf.size for leaf in jax.tree.leaves(state))

"""A cell with a linear readout, and its parameter count."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.export
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from lstm_jax._internal import cell_checks, checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core.cell import Cell
from lstm_jax.core.numerics import product
from lstm_jax.core.recipes import FactoryMade, factory
from lstm_jax.core.typing import Params
from lstm_jax.tasks.task import Sequences
from lstm_jax.unrolling import unroll
from lstm_jax.unrolling.truncated import unroll_truncated


class _Fields(NamedTuple):
    size: int
    init: Callable[[Key[Array, ""]], Params]
    apply: Callable[..., jax.Array]
    answer: Callable[[Params, Any], Any]
    source: Any = None
    initial_state: Callable[[Params, int], Any] | None = None
    stream: Callable[..., tuple[Any, jax.Array]] | None = None
    answer_of: Callable[[Any], Any] | None = None


class Model(FactoryMade, _Fields):
    """Pure functions from the inputs of a task to its answers.

    size: the hidden size H, for tables.
    init: ``(key) -> params``.
    apply: ``(params, xs, *, key=None) -> outputs``, what the loss is computed from; the key draws
        noise, and without it there is none.
    answer: ``(params, xs) -> answers``, what the score is computed from: the outputs of a model
        that answers at once, or what it writes if it answers step by step.
    source: the ``Description`` from which ``load_model`` makes it anew; None unless it was made by
        ``recurrent`` from a registered cell.
    initial_state: ``(params, batch_size) -> state``, the state before a stream; None for a model
        that cannot stream.
    stream: ``(params, state, xs, *, resets=None, key=None) -> (state, outputs)``, for streams that
        are longer than a batch: the state before the first step comes in, and the state after the
        last goes out, so that chunks put end to end equal the whole (each with a key of its own, if
        there is noise). ``resets [T, B]`` is True where a row returns to the initial state before
        it reads the step. None unless the model reads every step and each output depends only on
        the steps up to it.
    answer_of: ``(outputs) -> answers``, of the outputs of ``stream``; None if they are the answers.
    """

    outside_recipe = ("source",)


@factory
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

    xs may be ``Sequences``, whose rows differ in length. Lengths outside [0, T] are an error if
    they are known, and clipped if they are traced.
    Params ``{"cell": ..., "readout": {"w" [H, O], "b" [O]}}``; the readout has the dtype of the
    cell's params, and starts with LeCun's normal weights and zero biases. The key draws a noisy
    cell's noise.

    Args:
        input_size, output_size: D and O.
        reads: "last" for an output ``[*batch, O]`` at each row's last step, "every" for ``[T,
            *batch, O]``. At "last" a row of length 0 has zeros in place of the cell's output, and
            so the readout's bias as its output.
        truncate: the steps of each chunk, within which gradients stay (``unroll_truncated``); None
            for whole sequences. The outputs are the same.
        random_offset: draw the steps of the first chunk from the key, anew at each call, so that
            the boundaries move; without a key all chunks are whole.
    """
    cell_checks.cell("cell", cell)
    cell_checks.vectors_only("cell", cell)
    input_size = checking.positive_int("input_size", input_size)
    output_size = checking.positive_int("output_size", output_size)
    checking.choice("reads", reads, ("last", "every"))
    if truncate is not None:
        truncate = checking.positive_int("truncate", truncate)
    if checking.flag("random_offset", random_offset) and truncate is None:
        raise WrongValue("random_offset: expected False without truncate, got True")

    def init(key: Key[Array, ""]) -> Params:
        key_cell, key_readout = jax.random.split(checking.random_key("key", key))
        of_cell = cell.init(key_cell, input_size)
        dtype = float_dtype_of(of_cell)
        w = jax.nn.initializers.lecun_normal()(key_readout, (cell.size, output_size), dtype)
        return {"cell": of_cell, "readout": {"w": w, "b": jnp.zeros(output_size, dtype)}}

    def run(
        params: Params, xs: Any, key: Any, state: Any = None, **options: Any
    ) -> tuple[Any, jax.Array]:
        values, lengths = xs if isinstance(xs, Sequences) else (xs, None)
        over_time: Callable[..., Any] = unroll_truncated if "every" in options else unroll
        state, ys = over_time(
            cell, params["cell"], values, state, lengths=lengths, key=key, **options
        )
        if reads == "last":
            if ys.shape[0] == 0:
                raise WrongValue(
                    f"xs: expected T of at least 1 to read from, got shape {values.shape}"
                )
            ys = ys[-1] if lengths is None else last_of(ys, lengths)
        answers = product(ys, params["readout"]["w"])
        return state, answers + jnp.broadcast_to(params["readout"]["b"], answers.shape)

    def answer(
        params: Params,
        xs: Float[Array, "T *batch D"] | Sequences,
        *,
        key: Key[Array, ""] | None = None,
    ) -> jax.Array:
        return run(params, xs, key)[1]

    def stream(
        params: Params,
        state: Any,
        xs: Float[Array, "T *batch D"] | Sequences,
        *,
        resets: Bool[Array, "T *batch"] | None = None,
        key: Key[Array, ""] | None = None,
    ) -> tuple[Any, jax.Array]:
        key = None if key is None else checking.random_key("key", key)
        if truncate is None:
            return run(params, xs, key, state, resets=resets)
        offset: Any = 0
        if random_offset and key is not None:
            key, offset_key = jax.random.split(key)
            offset = jax.random.randint(offset_key, (), 0, truncate, jnp.int32)
        return run(params, xs, key, state, resets=resets, every=truncate, offset=offset)

    def apply(
        params: Params,
        xs: Float[Array, "T *batch D"] | Sequences,
        *,
        key: Key[Array, ""] | None = None,
    ) -> jax.Array:
        return stream(params, None, xs, key=key)[1]

    if reads == "last" or not can_be_stepped(cell, input_size):
        return Model(cell.size, init, apply, answer)
    return Model(cell.size, init, apply, answer, None, initial_state_of(cell), stream)


def initial_state_of(cell: Cell) -> Callable[[Params, int], Any]:
    """``(params, batch_size) -> state`` of a model whose entry "cell" has the cell's params."""

    def initial_state(params: Params, batch_size: int) -> Any:
        if not jax.export.is_symbolic_dim(batch_size):  # as in an exported program
            checking.positive_int("batch_size", batch_size)
        return cell.initial_state(params["cell"], (batch_size,))

    return initial_state


def can_be_stepped(cell: Cell, input_size: int) -> bool:
    """Whether the cell goes from each step to the next; a layer of two directions does not."""

    def step(key: jax.Array, x: jax.Array) -> Any:
        params = cell.init(key, input_size)
        return cell.advance(cell.prepare(params, (), None), cell.initial_state(params, ()), x)

    try:
        jax.eval_shape(step, jax.random.key(0), jax.ShapeDtypeStruct((input_size,), jnp.float32))
    except Exception:  # if anything else is wrong with the cell, running it will say so
        return False
    return True


def float_dtype_of(params: Params) -> jnp.dtype:
    """The widest of the params' floating dtypes; float32 if there are none."""
    dtypes = [leaf.dtype for leaf in jax.tree.leaves(params)]
    floats = [dtype for dtype in dtypes if jnp.issubdtype(dtype, jnp.floating)]
    return functools.reduce(jnp.promote_types, floats) if floats else jnp.dtype(jnp.float32)


@default_promotion
def last_of(ys: Float[Array, "T *batch H"], lengths: Int[Array, "*batch"]) -> jax.Array:
    """Each row's output at its last step ``[*batch, H]``; at its first for a length of 0.

    Lengths outside [0, T] are an error if they are known, and clipped if they are traced.
    """
    last = jnp.maximum(checking.lengths(lengths, ys.shape[0], ys.shape[1:-1]), 1) - 1
    return jnp.take_along_axis(ys, last[None, ..., None], axis=0)[0]


def count_parameters(model: Model) -> int:
    """The number of trained numbers, readout included; only shapes are computed."""
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))

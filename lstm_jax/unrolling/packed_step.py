"""A cell's step for a stream: few buffers in, few buffers out, and no work that could be done once.

At batch 1 a step takes as long as its calls into XLA: tens of microseconds for the program, and one
or two for each of its arrays and each operation. So weights of products that are only summed are
stacked into one matrix, small weights are constants of the program, and a small state is one array.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax._internal.errors import WrongValue
from lstm_jax.core.cell import Cell
from lstm_jax.core.forms import Composite, Gated, PartCall
from lstm_jax.core.numerics import product
from lstm_jax.core.steps import project_output
from lstm_jax.core.typing import Params, State

SMALL_BYTES = 2**9  # of a state whose copy costs less than further buffers do, as measured
CONSTANT_BYTES = 2**22  # of weights; larger ones would make compiling slow

Advance = Callable[[Any, State, jax.Array], tuple[State, jax.Array]]


class Part(NamedTuple):
    """A cell that is not a composite, ready to be stepped."""

    weights: Any
    advance: Advance


class PackedStep(NamedTuple):
    """A step on packed buffers.

    Attributes:
        weights: A tuple of arrays, empty if they are constants of the step.
        step: ``(weights, buffers, x) -> (buffers, y)``.
        pack: ``state -> buffers``, a tuple of arrays.
        unpack: ``buffers -> state``.
    """

    weights: tuple[jax.Array, ...]
    step: Callable[..., tuple[Any, jax.Array]]
    pack: Callable[[State], tuple[jax.Array, ...]]
    unpack: Callable[[tuple[jax.Array, ...]], State]


def packed_step(cell: Cell, params: Params, state: State, x: jax.Array) -> PackedStep:
    """The step of ``cell`` with prepared params, for states and inputs like these."""
    parts: list[Part] = []

    @jax.jit
    def prepare(params: Params, state: State, x: jax.Array) -> Any:
        parts[:] = _find_parts(cell, params, state, x)
        return params, [part.weights for part in parts]

    leaves, tree = jax.tree.flatten(prepare(params, state, x))
    advances = [part.advance for part in parts]
    pack, unpack = _packing(state)

    def step(leaves: list[jax.Array], buffers: Any, x: jax.Array) -> tuple[Any, jax.Array]:
        params, ready = jax.tree.unflatten(tree, leaves)
        replay = zip(advances, ready, strict=True)
        new, y = _step_parts(cell, params, unpack(buffers), x, replay)
        return pack(new), y

    if sum(leaf.nbytes for leaf in leaves) <= CONSTANT_BYTES:
        constants = [np.asarray(leaf) for leaf in leaves]

        def step_of_constants(kept: Any, buffers: Any, x: jax.Array) -> tuple[Any, jax.Array]:
            return step([jnp.asarray(leaf) for leaf in constants], buffers, x)

        return PackedStep((), step_of_constants, pack, unpack)

    shapes = (leaves, jax.eval_shape(pack, state), x)
    used = _used(step, shapes)

    def step_of_used(kept: Any, buffers: Any, x: jax.Array) -> tuple[Any, jax.Array]:
        given = iter(kept)
        return step([next(given) if u else leaf for u, leaf in zip(used, leaves, strict=True)],
                    buffers, x)  # fmt: skip

    kept = tuple(leaf for u, leaf in zip(used, leaves, strict=True) if u)
    return PackedStep(kept, step_of_used, pack, unpack)


def _used(step: Callable[..., Any], arguments: tuple[Any, ...]) -> list[bool]:
    """Which leaves of the first argument the step reads."""
    jaxpr = jax.make_jaxpr(step)(*arguments).jaxpr
    read = {id(variable) for equation in jaxpr.eqns for variable in equation.invars}
    read |= {id(variable) for variable in jaxpr.outvars}
    return [id(variable) in read for variable in jaxpr.invars[: len(arguments[0])]]


def _find_parts(cell: Cell, params: Params, state: State, x: jax.Array) -> list[Part]:
    """The parts of a composite in the order in which a step runs them; or the cell itself."""
    found: list[Part] = []

    def find(part: PartCall) -> tuple[State, jax.Array]:
        if part.reverse:
            raise WrongValue(
                "cell: expected a cell that can be stepped, got a bidirectional layer, which reads "
                "the sequence from both ends; unroll it"
            )
        if isinstance(part.cell.form, Composite):
            return part.cell.form.run_parts(find, part.params, part.xs, part.state, part.initial)
        found.append(_ready(part.cell, part.params))
        return part.cell.advance(part.params, part.state, part.xs)

    find(PartCall(cell, params, x, state, state))
    return found


def _step_parts(
    cell: Cell, params: Params, state: State, x: jax.Array, replay: Iterator[tuple[Advance, Any]]
) -> tuple[State, jax.Array]:
    def step(part: PartCall) -> tuple[State, jax.Array]:
        if isinstance(part.cell.form, Composite):
            return part.cell.form.run_parts(step, part.params, part.xs, part.state, part.initial)
        advance, weights = next(replay)
        return advance(weights, part.state, part.xs)

    return step(PartCall(cell, params, x, state, state))


def _ready(cell: Cell, params: Params) -> Part:
    form = cell.form
    own = isinstance(form, Gated) and getattr(cell.advance, "form", None) is form
    if not own:
        return Part(params, cell.advance)
    assert isinstance(form, Gated)
    weights, vectors = form.split(params)
    matrices = form.product_x is product and form.product_h is product
    if not matrices or form.additive is not True or weights.w_x.dtype != weights.w_h.dtype:
        return Part(params, cell.advance)
    dtype = weights.w_x.dtype
    stacked = jnp.concatenate([weights.w_x, weights.w_h])
    zeros: Any = np.zeros(stacked.shape[-1:], jnp.promote_types(dtype, jnp.float32))

    def advance(ready: Any, state: State, x: jax.Array) -> tuple[State, jax.Array]:
        stacked, b, w_p, vectors = ready
        # The products take their factors in the dtype of the weights.
        source = form.source(vectors, state).astype(dtype)
        z = _product(jnp.concatenate([x.astype(dtype), source], axis=-1), stacked)
        new, m, _ = form.pointwise(vectors, state, z if b is None else z + b, zeros)
        return project_output(w_p, state, new, m, dtype)

    return Part((stacked, weights.b, weights.w_p, vectors), advance)


def _product(xs: jax.Array, w: jax.Array) -> jax.Array:
    """``xs @ w``; XLA on the CPU multiplies a vector in less time than a matrix of one row."""
    if xs.size != xs.shape[-1]:
        return product(xs, w)
    return product(xs.reshape(-1), w).reshape(*xs.shape[:-1], -1)


def _packing(state: State) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """``(pack, unpack)`` of states like this one."""
    leaves, tree = jax.tree.flatten(state)
    dtype = leaves[0].dtype
    small = sum(leaf.nbytes for leaf in leaves) <= SMALL_BYTES
    if not small or any(leaf.dtype.itemsize != dtype.itemsize for leaf in leaves):
        return lambda state: tuple(jax.tree.leaves(state)), lambda b: jax.tree.unflatten(tree, b)
    ends = [sum(leaf.size for leaf in leaves[: i + 1]) for i in range(len(leaves) - 1)]
    cast = jax.lax.bitcast_convert_type  # counts stand beside floats, bit by bit

    def pack(state: State) -> tuple[jax.Array, ...]:
        flat = [cast(leaf, dtype).reshape(-1) for leaf in jax.tree.leaves(state)]
        return (jnp.concatenate(flat),)

    def unpack(buffers: tuple[jax.Array, ...]) -> State:
        pieces = jnp.split(buffers[0], ends)
        return jax.tree.unflatten(tree, [
            cast(piece, leaf.dtype).reshape(leaf.shape)
            for piece, leaf in zip(pieces, leaves, strict=True)
        ])  # fmt: skip

    return pack, unpack

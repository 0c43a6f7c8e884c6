"""The contract: what a cell is, and the step derived from the form that it declares.

A cell is a tuple of pure functions. Its equations stand once, in ``Gated.pointwise``, in
``Linear.coefficients``, in ``MatrixMemory.project`` (or, for a cell of no particular form, in
``Cell.advance``); the step, the scan over time, the fast gradient and all else are derived from it.

Axes: T time, ``*batch`` any number of batch axes, D input size, H hidden size, G gates,
R the size of the recurrent source (H in most cells).
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from lstm_jax import checking, promises
from lstm_jax.errors import WrongValue
from lstm_jax.forms import (
    AnyArray,
    BatchShape,
    Form,
    Gated,
    Linear,
    Params,
    State,
    Weights,
)
from lstm_jax.forms import Composite as Composite
from lstm_jax.forms import Run as Run
from lstm_jax.gates import GateAxis
from lstm_jax.promotion import standard
from lstm_jax.recipes import Made
from lstm_jax.zeros import state_of


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class Memory:
    """Arrays that a cell reads beside its params, as one leaf of it that hashes by identity."""

    arrays: Any


class Bound(NamedTuple):
    """Params together with the arrays that a cell reads beside them, as ``prepare`` takes them."""

    params: Params
    memory: Any


def _nothing_to_prepare(params: Params, batch_shape: BatchShape, key: Any) -> Params:
    return params


class _Fields(NamedTuple):
    name: str
    size: int
    axis: GateAxis
    init: Callable[..., Params]
    initial_state: Callable[..., State]
    advance: Callable[[Params, State, jax.Array], tuple[State, jax.Array]]
    form: Form | None = None
    prepare: Callable[[Params, BatchShape, Any], Params] = _nothing_to_prepare
    memory: Memory | None = None


class Cell(Made, _Fields):
    """A recurrent cell: pure functions, in the way of ``optax.GradientTransformation``.

    Cells that a factory built alike are equal, have one hash, and pickle as the call that built
    them (``lj.factory``); so the loop that builds its cell anew compiles once.

    name: what errors and tables call it.
    size: the size H of its output.
    axis: the packed gate axis of its weights.
    init: ``(key, input_size, dtype=float32) -> params``.
    initial_state: ``(params, batch_shape=(), dtype=None) -> state``.
    advance: ``(params, state, x) -> (state, y)``, the bare equations, of prepared params and
        without checks; None for a layer that cannot be stepped (bidirectional).
    form: what the unroll may know of the recurrence; None for a cell that is only scanned.
    prepare: ``(params, batch_shape, key) -> params``: what is done once a sequence and not at
        each step: drawing masks, casting. Without a key there is no randomness.
    memory: arrays of a sequence that the cell reads beside its params (``lj.attentive``). They are
        no part of what is compiled: ``step``, ``lj.unroll`` and ``lj.explain`` take them off the
        cell and hand them on with the params, as ``Bound``, so that gradients reach them and
        another sequence's memory runs the same program.
    """

    carried = ("memory",)

    @property
    def gates(self) -> tuple[str, ...]:
        """The names of the gates, in the order in which they stand in the packed axis."""
        return self.axis.names

    @standard
    def step(
        self,
        params: Params,
        state: State,
        x: Float[AnyArray, "*batch D"],
        *,
        key: PRNGKeyArray | None = None,
    ) -> tuple[State, Float[Array, "*batch H"]]:
        """One step in time: ``(state, y)``.

        ``key`` is the key of the whole sequence, the same at every step: masks that last a
        sequence are drawn from it alone, noise of a step from it and from a count in the state.
        Without it a noisy cell does what it does in evaluation.

        Raises ValueError or TypeError, naming the argument, for params or a state of another
        cell, for an ``x`` of another size or of integers, and for a layer without a step.
        """
        x = checking.float_array("x", x, "[*batch, D]", 1)
        cell = without_memory(self)
        checking.params(cell, params, "x", x.shape[-1])
        same_precision("x", x, params)
        checking.state(cell, params, state, x.shape[:-1])
        key = None if key is None else checking.random_key("key", key)
        params = with_memory(self, params)
        return self.advance(self.prepare(params, x.shape[:-1], key), state, x)


def without_memory(cell: Cell) -> Cell:
    """The cell that is compiled, the same for every memory."""
    return cell if cell.memory is None else cell._replace(memory=None)


def with_memory(cell: Cell, params: Params) -> Params:
    """What the cell's ``prepare`` takes: ``params``, bound to the cell's memory if it has one."""
    if cell.memory is None:
        return params
    return Bound(params, jax.tree.map(jnp.asarray, cell.memory.arrays))


def same_precision(argument: str, x: jax.Array, params: Params) -> None:
    """Refuses a float64 input beside narrower params: it would be rounded in silence."""
    dtypes = {leaf.dtype for leaf in jax.tree.leaves(params)}
    if x.dtype == jnp.float64 and dtypes and jnp.dtype("float64") not in dtypes:
        names = ", ".join(sorted(dtype.name for dtype in dtypes))
        raise WrongValue(f"{argument}: got dtype float64 beside params of {names}; cast one")


def product(x: jax.Array, w: jax.Array) -> jax.Array:
    """``x @ w`` in the dtype of the weights, summed in float32 or wider.

    The dtype of the weights in use is the compute dtype: bfloat16 weights multiply in bfloat16
    and hand float32 sums to the gates and to the state.
    """
    sums = jnp.promote_types(w.dtype, jnp.float32)
    return jnp.matmul(x.astype(w.dtype), w, preferred_element_type=sums)


def wide(values: jax.Array) -> jax.Array:
    """``values`` in float32 or wider, as states and gates are."""
    return values.astype(jnp.promote_types(values.dtype, jnp.float32))


def input_product(weights: Weights, x: jax.Array) -> jax.Array:
    """``z = x w_x + b``, which does not depend on time."""
    z = product(x, weights.w_x)
    return z if weights.b is None else z + weights.b


def finish(
    form: Gated,
    w_p: jax.Array | None,
    vectors: Any,
    state: State,
    z: jax.Array,
    r: jax.Array,
    dtype: Any,
) -> tuple[State, jax.Array, jax.Array]:
    """What follows the two products: ``(state, y, m)``, where m is y before the projection.

    The new state keeps the old one's dtypes and the output gets ``dtype``, the compute dtype.
    """
    new, m, _ = form.pointwise(vectors, state, z, r)
    y = m
    if w_p is not None:
        y = product(m, w_p)
        new = new._replace(h=y)
    return like(state, new), y.astype(dtype), m


def like(old: State, new: State) -> State:
    """``new`` in the dtypes of ``old``, as a scan's carry must be."""
    return jax.tree.map(lambda leaf, before: leaf.astype(before.dtype), new, old)


def packed_params(params: dict[str, jax.Array]) -> tuple[Weights, dict[str, jax.Array]]:
    """The usual split: ``w_x``, ``w_h``, ``b`` and ``w_p`` are weights, the rest vectors."""
    vectors = {name: leaf for name, leaf in params.items() if name not in Weights._fields}
    return Weights(params["w_x"], params["w_h"], params.get("b"), params.get("w_p")), vectors


def plain_cell(
    name: str,
    size: int,
    axis: GateAxis,
    *,
    init: Callable[[jax.Array, int, Any], Params],
    state: Callable[[Callable[..., jax.Array]], State],
    advance: Callable[[Params, State, jax.Array], tuple[State, jax.Array]],
) -> Cell:
    """A cell of no particular form: ``advance`` holds its equations, and it is scanned."""

    def checked_init(key: PRNGKeyArray, input_size: int, dtype: Any = jnp.float32) -> Params:
        """Params for inputs of ``input_size``; see the factory for the entries and shapes."""
        key = checking.random_key("key", key)
        input_size = checking.positive_int("input_size", input_size)
        return init(key, input_size, checking.float_dtype("dtype", dtype))

    return Cell(name, size, axis, standard(checked_init), state_of(state), advance)


def gated_cell(
    name: str,
    size: int,
    axis: GateAxis,
    *,
    init: Callable[[jax.Array, int, Any], Params],
    state: Callable[[Callable[..., jax.Array]], State],
    pointwise: Callable[[Any, Any, jax.Array, jax.Array], tuple[Any, jax.Array, dict]],
    split: Callable[[Params], tuple[Weights, Any]] = packed_params,
    source: Callable[[Any, Any], jax.Array] = lambda vectors, state: state.h,
    additive: bool | int = False,
) -> Cell:
    """A cell of the gated form; its step is derived from ``pointwise``.

    Raises ValueError, naming ``additive``, where ``pointwise`` does not keep what it promises.
    """
    form = Gated(pointwise, split, source, promises.promised(additive))
    promises.check_additive(name, form, size, init, state_of(state))
    cell = plain_cell(name, size, axis, init=init, state=state, advance=gated_advance(form))
    return cell._replace(form=form)


def gated_advance(form: Gated) -> Callable[[Params, State, jax.Array], tuple[State, jax.Array]]:
    """The step of a gated form."""

    def advance(params: Params, state: State, x: jax.Array) -> tuple[State, jax.Array]:
        weights, vectors = form.split(params)
        z = input_product(weights, x)
        r = product(form.source(vectors, state), weights.w_h)
        state, y, _ = finish(form, weights.w_p, vectors, state, z, r, weights.w_x.dtype)
        return state, y

    return advance


def linear_cell(
    name: str,
    size: int,
    axis: GateAxis,
    *,
    init: Callable[[jax.Array, int, Any], Params],
    state: Callable[[Callable[..., jax.Array]], State],
    coefficients: Callable[[Params, jax.Array], tuple[jax.Array, jax.Array]],
    read: Callable[[State], jax.Array],
    write: Callable[[jax.Array], State],
    output: Callable[[Params, jax.Array, jax.Array], jax.Array],
) -> Cell:
    """A cell of the linear form; its step is derived from ``coefficients`` and ``output``."""
    form = Linear(coefficients, read, write, output)
    cell = plain_cell(name, size, axis, init=init, state=state, advance=linear_advance(form))
    return cell._replace(form=form)


def linear_advance(form: Linear) -> Callable[[Params, State, jax.Array], tuple[State, jax.Array]]:
    """The step of a linear form."""

    def advance(params: Params, state: State, x: jax.Array) -> tuple[State, jax.Array]:
        a, b = form.coefficients(params, x)
        h = a * form.read(state) + b
        return like(state, form.write(h)), form.output(params, h, x)

    return advance

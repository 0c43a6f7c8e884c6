"""``lj.nnx.from_nnx_cell``: a cell of Flax NNX as an ``lj.Cell``."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import PRNGKeyArray

from lstm_jax._internal import checking
from lstm_jax._internal.errors import ArgumentError, WrongType, WrongValue
from lstm_jax.core.cell import Cell
from lstm_jax.core.forms import Observed, Plain
from lstm_jax.core.gates import NO_GATES
from lstm_jax.core.numerics import like
from lstm_jax.core.recipes import factory
from lstm_jax.core.steps import advance_of
from lstm_jax.core.typing import BatchShape, Params, State


class NNXState(NamedTuple):
    """The carry of a Flax cell."""

    carry: Any


class Template(NamedTuple):
    """A module without its weights: the graph, and its variables, whose values are shapes."""

    graph: Any
    variables: Any


@factory
def from_nnx_cell(kind: Callable[..., nnx.Module], size: int, **options: Any) -> Cell:
    """A cell of Flax NNX as a cell of this library, which wrappers and experiments take.

        cell = lj.nnx.from_nnx_cell(nnx.GRUCell, 128)
        params = lj.nnx.get_params(my_trained_gru)  # or cell.init(key, input_size)
        state, ys = lj.unroll(cell, params, xs)

    Params are dicts of arrays, by the names of the module's attributes. The state has one field,
    the module's carry, in float32 or wider. Flax computes in the widest dtype of carry, inputs and
    weights unless ``dtype`` is among the options. The cell is unrolled by "scan".

    Args:
        kind: A class of ``nnx.RNNCellBase``, called as ``kind(in_features, size, rngs=rngs,
            **options)``. Its variables must all be ``nnx.Param``, and its inputs have one feature
            axis. A random initial carry is drawn from seed 0.
        size: The hidden size, which must be the size of its output.
        **options: Further options of ``kind``.

    Raises:
        ValueError, TypeError: For a wrong argument, and for a cell that is not as described.
    """
    if not callable(kind) or isinstance(kind, nnx.Module):
        raise WrongType(
            f"kind: expected a class of cells, such as nnx.LSTMCell, got {type(kind).__name__}; "
            "lj.nnx.get_params gives the weights of a module"
        )
    size = checking.positive_int("size", size)
    name = getattr(kind, "__name__", type(kind).__name__)

    def make(input_size: int, rngs: nnx.Rngs) -> nnx.Module:
        return kind(input_size, size, rngs=rngs, **options)

    @functools.lru_cache
    def template_for(input_size: int) -> Template:
        # Shapes only, so that what is cached holds no arrays of a caller's trace.
        module = nnx.eval_shape(lambda: make(input_size, nnx.Rngs(0)))
        parts: Any = nnx.split(module, nnx.Param, ...)
        graph, variables, others = parts
        if not isinstance(module, nnx.RNNCellBase) or module.num_feature_axes != 1:
            raise WrongValue(f"kind: expected an nnx.RNNCellBase with one feature axis, got {name}")
        if jax.tree.leaves(others):
            kinds = sorted({type(leaf).__name__ for _, leaf in nnx.to_flat_state(others)})
            raise WrongValue(
                f"kind: expected a cell whose variables are all nnx.Param, got {name} with "
                f"{', '.join(kinds)}"
            )
        template = Template(graph, variables)
        width = nnx.eval_shape(lambda: output_of(make(input_size, nnx.Rngs(0)), input_size)).shape
        if width != (size,):
            raise WrongValue(
                f"size: expected {width[-1]}, the size of the outputs of {name}, got {size}"
            )
        return template

    def output_of(module: Any, input_size: int) -> jax.Array:
        carry = module.initialize_carry((input_size,), nnx.Rngs(0))
        return module(carry, jnp.zeros(input_size, jnp.float32))[1]

    def input_size_of(params: Params) -> int:
        shapes = jax.tree.map(jnp.shape, params)
        for input_size in sorted({n for leaf in jax.tree.leaves(params) for n in leaf.shape}):
            try:
                variables = template_for(input_size).variables
            except ArgumentError:  # such as a residual layer for inputs of another size
                continue
            if jax.tree.map(jnp.shape, nnx.to_pure_dict(variables)) == shapes:
                return input_size
        raise WrongValue(f"params: expected the weights of {name} with {size} units, got {shapes}")

    def module_with(params: Params, input_size: int) -> Any:
        graph, variables = template_for(input_size)
        paths = dict(nnx.to_flat_state(variables))
        values = nnx.traversals.flatten_mapping(params)
        return nnx.merge(
            graph,
            nnx.from_flat_state(
                {path: variable.replace(values[path]) for path, variable in paths.items()}
            ),
        )

    def init(key: PRNGKeyArray, input_size: int, dtype: Any = jnp.float32) -> Params:
        rngs = nnx.Rngs(checking.random_key("key", key))
        module = make(checking.positive_int("input_size", input_size), rngs)
        template_for(input_size)  # checks it
        dtype = checking.float_dtype("dtype", dtype)
        pure = nnx.to_pure_dict(nnx.state(module, nnx.Param))
        return jax.tree.map(lambda leaf: leaf.astype(dtype), pure)

    def initial_state(params: Params, batch_shape: BatchShape = (), dtype: Any = None) -> State:
        shape = checking.batch_shape("batch_shape", batch_shape)
        input_size = input_size_of(params)
        module = module_with(params, input_size)
        carry = module.initialize_carry((*shape, input_size), nnx.Rngs(0))

        def cast(leaf: jax.Array) -> jax.Array:
            wide = jnp.promote_types(leaf.dtype, jnp.float32)
            floats = [leaf.dtype for leaf in jax.tree.leaves(params)]
            return leaf.astype(jnp.result_type(wide, *floats) if dtype is None else dtype)

        return NNXState(jax.tree.map(cast, carry))

    def observe(params: Params, state: State, x: jax.Array) -> tuple[State, jax.Array, Observed]:
        carry, y = module_with(params, x.shape[-1])(state.carry, x)
        # As in every cell, outputs have the dtype of the matrices: see lj.mixed_precision.
        matrices = [leaf.dtype for leaf in jax.tree.leaves(params) if leaf.ndim > 1]
        y = y.astype(jnp.result_type(*matrices) if matrices else y.dtype)
        return like(state, NNXState(carry)), y, Observed({})

    form = Plain(observe)
    return Cell("nnx_cell", size, NO_GATES, init, initial_state, advance_of(form), form)

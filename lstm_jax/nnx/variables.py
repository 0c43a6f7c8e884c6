"""Trees of arrays as trees of NNX variables of the same structure."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from lstm_jax._internal import cell_checks, checking
from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax.core.cell import Cell
from lstm_jax.core.typing import Params

Metadata = Mapping[str, Mapping[str, Any]]
NO_METADATA: Metadata = MappingProxyType({})


class Carry(nnx.Variable[Any]):
    """The carry that a stateful ``Recurrent`` keeps from one call to the next. It is not trained.

    ``nnx.state(model, lj.nnx.Carry)`` selects it, as ``nnx.Param`` selects the weights.
    """


def get_params(module: nnx.Module) -> Params:
    """The weights of a module, as ``lj.unroll``, ``lj.trace`` and the like take them.

        lj.trace(model.cell, lj.nnx.get_params(model), xs)

    Args:
        module: A ``Recurrent`` or an ``RNNCell``: the params of its cell. Or a cell of Flax, such
            as ``nnx.LSTMCell``: the params of ``lj.nnx.from_nnx_cell``.
    """
    if isinstance(getattr(module, "cell", None), Cell) and hasattr(module, "params"):
        return values_of(module.params)
    if not isinstance(module, nnx.Module):
        raise WrongType(f"module: expected an NNX module, got {type(module).__name__}")
    return nnx.to_pure_dict(nnx.state(module, nnx.Param))


def values_of(variables: Any) -> Any:
    """The arrays in a tree of variables."""
    return jax.tree.map(lambda v: v.get_value(), variables, is_leaf=is_variable)


def set_values(variables: Any, values: Any) -> None:
    """Writes the arrays ``values`` into a tree of variables."""
    jax.tree.map(lambda v, value: v.set_value(value), variables, values, is_leaf=is_variable)


def is_variable(value: Any) -> bool:
    return isinstance(value, nnx.Variable)


def make_params(
    cell: Cell,
    in_features: int,
    params: Params | None,
    param_dtype: Any,
    metadata: Metadata,
    rngs: nnx.Rngs,
) -> Any:
    """The params of ``cell`` as ``nnx.Param``: those given, or new ones of the stream "params"."""
    if params is None:
        key = stream_of("rngs", rngs, "params")()
        params = cell.init(key, in_features, checking.float_dtype("param_dtype", param_dtype))
    else:
        cell_checks.params(cell, params, "in_features", in_features)
    names = [names_of(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    known = {name for pair in names for name in pair}
    if not isinstance(metadata, Mapping) or not all(
        isinstance(entry, Mapping) for entry in metadata.values()
    ):
        raise WrongType(
            "param_metadata: expected a dict by entry, such as "
            f"{{'w_x': {{'out_sharding': (None, 'model')}}}}, got {metadata!r}"
        )
    for name in metadata:
        checking.choice("param_metadata", name, sorted(known))

    def make_param(path: Any, leaf: Any) -> nnx.Param[Any]:
        whole, entry = names_of(path)
        return nnx.Param(jnp.asarray(leaf), **metadata.get(whole, metadata.get(entry, {})))

    return jax.tree_util.tree_map_with_path(make_param, params)


def names_of(path: Any) -> tuple[str, str]:
    """The names of a leaf: its path, such as "0.w_x" in a chain, and its entry, "w_x"."""
    keystr = jax.tree_util.keystr
    return keystr(path, simple=True, separator="."), keystr(path[-1:], simple=True)


def stream_of(argument: str, rngs: Any, name: str) -> nnx.RngStream:
    """The stream ``name`` of ``rngs``, or its default stream."""
    if not isinstance(rngs, nnx.Rngs):
        raise WrongType(f"{argument}: expected nnx.Rngs, such as nnx.Rngs(0), got {rngs!r}")
    try:
        return rngs[name]
    except KeyError:
        raise WrongValue(
            f"{argument}: expected a stream {name!r} or a default one, got {list(rngs)}"
        ) from None

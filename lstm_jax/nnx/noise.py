"""Keys for noisy cells from the streams of ``nnx.Rngs``."""

from typing import Any

import jax
from flax import nnx

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax.core.cell import Cell
from lstm_jax.core.typing import Params
from lstm_jax.nnx.variables import stream_of


def needs_key(cell: Cell, params: Params) -> bool:
    """Whether the cell is noisy: whether anything that it prepares depends on the key.

    A module of a cell without noise then holds no random state, which every split, checkpoint and
    gradient of it would have to carry.
    """
    key = jax.random.key(0)
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), params)
    jaxpr = jax.make_jaxpr(lambda key, params: cell.prepare(params, (), key))(key, shapes).jaxpr
    read = {id(variable) for variable in jaxpr.outvars}
    for equation in reversed(jaxpr.eqns):
        if any(id(variable) in read for variable in equation.outvars):
            read |= {id(variable) for variable in equation.invars}
    return id(jaxpr.invars[0]) in read


def draw_key(rngs: Any, own: nnx.RngStream | None, collection: str) -> jax.Array:
    """The key of one sequence.

    Args:
        rngs: The argument of the call: ``nnx.Rngs``, a stream, a key, or None.
        own: The stream that the module keeps.
        collection: The name of the stream.
    """
    require_rngs(rngs)
    if isinstance(rngs, nnx.Rngs):
        return stream_of("rngs", rngs, collection)()
    if isinstance(rngs, nnx.RngStream):
        # nnx.RNN and nnx.Bidirectional pass their stream for random carries, whose seed is 0
        # unless they were given another.
        return own() if rngs.tag == "carry" and own is not None else rngs()
    if rngs is not None:
        return checking.random_key("rngs", rngs)
    if own is None:
        raise WrongValue("rngs: expected nnx.Rngs for a noisy cell in training, got None")
    return own()


def require_rngs(rngs: Any) -> None:
    """Refuses what is not the ``rngs`` of a call."""
    if rngs is not None and not isinstance(rngs, nnx.Rngs | nnx.RngStream | jax.Array):
        raise WrongType(f"rngs: expected nnx.Rngs, a stream of it or a key, got {rngs!r}")

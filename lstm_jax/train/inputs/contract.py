"""What inputs are, and what they share."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.core.recipes import FactoryMade
from lstm_jax.core.typing import Params
from lstm_jax.tasks.task import Sequences


class Vectors(NamedTuple):
    """Data as vectors.

    values: at each step ``[T, B, E]``; or ``[B, E]`` of inputs without time, such as a category of
        each row.
    lengths: the steps of each row; None for all.
    """

    values: Float[Array, "T B E"] | Float[Array, "B E"]
    lengths: Int[Array, "B"] | None


class _Fields(NamedTuple):
    name: str
    size: int
    init: Callable[..., Params]
    apply: Callable[..., Vectors]
    stepwise: bool = True
    vocabulary_size: int | None = None


class Inputs(FactoryMade, _Fields):
    """How a network reads its data.

    name: the factory's call, such as "numbers(3)".
    size: of each vector, E.
    init: ``(key, *, scale=None) -> params``; a scale replaces the initial weights by uniform ones
        in ``[-scale, scale]``.
    apply: ``(params, xs, *, dropout=0.0, key=None) -> Vectors``. xs has the time first, ``[T, B,
        D]`` or ids ``[T, B]``, or is ``Sequences`` of these if rows differ in length. Dropout, for
        which a key is needed, acts on vectors that are learned, not on data.
    stepwise: whether each vector depends only on its own step, so that streams can be cut anywhere.
    vocabulary_size: the rows of the table ``params["table"]``, for ``tie``; None without one.
    """


def no_params(key: Any, *, scale: float | None = None) -> Params:
    """The params of inputs that have none."""
    return {}


def split_lengths(xs: Any) -> tuple[Any, Any]:
    """The values of ``xs``, and their lengths, or None."""
    return (xs.values, xs.lengths) if isinstance(xs, Sequences) else (xs, None)


def read_ids(xs: Any, size: int) -> tuple[jax.Array, jax.Array, Any]:
    """Ids as int32 ``[T, B]`` or ``[B]``, from 0 to ``size - 1``; which of them were so before; and
    their lengths.

    Others within the rows' lengths are an error if they are known.
    """
    values, lengths = split_lengths(xs)
    ids = checking.array("xs", values)
    if not jnp.issubdtype(ids.dtype, jnp.integer):
        raise WrongValue(f"xs: expected ids, as integers, got dtype {ids.dtype.name}")
    if ids.ndim not in (1, 2) or (ids.ndim == 1 and lengths is not None):
        raise WrongValue(f"xs: expected ids [T, B], got shape {ids.shape}")
    if not any(isinstance(part, jax.core.Tracer) for part in (values, lengths)):
        counts = np.asarray(values)
        if lengths is not None:
            counts = counts[np.arange(len(counts))[:, None] < np.asarray(lengths)]
        if counts.size and (counts.min() < 0 or counts.max() >= size):
            raise WrongValue(
                f"xs: expected ids from 0 to {size - 1}, got {counts.min()} to {counts.max()}"
            )
    # Clipped before the cast, which would wrap large ones; ``size`` itself may not fit in an int8.
    most = min(size - 1, int(jnp.iinfo(ids.dtype).max))
    clipped = jnp.clip(ids, 0, most)
    return clipped.astype(jnp.int32), clipped == ids, lengths


def nan_where_not(valid: jax.Array, vectors: jax.Array) -> jax.Array:
    """``vectors [..., E]`` with NaN where ``valid [...]`` is False."""
    return jnp.where(valid[..., None], vectors, jnp.nan)


def look_up(table: jax.Array, ids: jax.Array) -> jax.Array:
    """The rows of ``table`` of ``ids``; on an Explicit mesh, on the devices of the ids."""
    spec = jax.typeof(ids).sharding.spec
    place = jax.sharding.PartitionSpec(*spec, None) if any(spec) else None
    return jnp.asarray(table).at[ids].get(mode="clip", out_sharding=place)


def drop(values: jax.Array, rate: float, key: Any) -> jax.Array:
    """Sets a share ``rate`` of the values to zero and scales the others, if there is a key."""
    if key is None or not rate:
        return values
    kept = jax.random.bernoulli(key, jnp.float32(1.0 - rate), values.shape)
    return jnp.where(kept, values / (1.0 - rate), 0).astype(values.dtype)


def uniform_leaves(params: Params, key: Any, scale: float | None) -> Params:
    """``params`` with all floats drawn anew, uniform in ``[-scale, scale]``; as they are without a
    scale."""
    if scale is None:
        return params
    leaves, tree = jax.tree.flatten(params)
    own = jax.random.fold_in(key, 2**31 - 1)  # far from the keys that ``init`` splits off

    def draw(n: int, leaf: jax.Array) -> jax.Array:
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            return leaf
        return jax.random.uniform(jax.random.fold_in(own, n), leaf.shape, leaf.dtype, -scale, scale)

    return jax.tree.unflatten(tree, [draw(n, leaf) for n, leaf in enumerate(leaves)])

"""Inputs: how a network reads its data, from rows of numbers or ids to vectors for the cell.

inputs = train.inputs.embedding(10_000, 200)
model = train.network(lj.lstm(200), inputs, train.heads.classification(10_000), reads="every")
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from lstm_jax._internal import cell_checks, checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.core.recipes import FactoryMade, factory
from lstm_jax.core.typing import Params
from lstm_jax.tasks.task import Sequences


class Vectors(NamedTuple):
    """What a cell reads, or, of inputs that are one vector per row, what it reads at every step.

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
        which a key is needed, acts on vectors that were learned, not on data.
    stepwise: whether each vector depends only on its own step, so that streams can be cut anywhere.
    vocabulary_size: the rows of the table ``params["table"]``, for ``tie``; None without one.
    """


@factory
def numbers(size: int) -> Inputs:
    """D numbers at each step, ``[T, B, D]``, read as they are. No params."""
    size = checking.positive_int("size", size)

    def apply(params: Params, xs: Any, *, dropout: float = 0.0, key: Any = None) -> Vectors:
        values, lengths = split_lengths(xs)
        values = checking.float_array("xs", values, f"numbers [T, B, {size}]", 2)
        if values.ndim > 3 or values.shape[-1] != size:
            raise WrongValue(
                f"xs: expected [T, B, {size}] for numbers({size}), got shape {values.shape}"
            )
        return Vectors(values, lengths)

    return Inputs("numbers", size, no_params, apply)


@factory
def one_hot(size: int) -> Inputs:
    """Ids ``[T, B]`` from 0 to ``size - 1``, each read as a vector with a 1 in its place.

    Other ids are an error if they are known, and clipped if they are traced. No params.
    """
    size = checking.positive_int("size", size)

    def apply(params: Params, xs: Any, *, dropout: float = 0.0, key: Any = None) -> Vectors:
        ids, lengths = read_ids(xs, size)
        return Vectors(jax.nn.one_hot(jnp.clip(ids, 0, size - 1), size), lengths)

    return Inputs("one_hot", size, no_params, apply)


@factory
def embedding(
    vocabulary_size: int, size: int, *, vectors: Any = None, frozen: bool = False
) -> Inputs:
    """Ids ``[T, B]`` from 0 to V - 1, such as tokens or categories, each read as its vector.

    Other ids are an error if they are known, and clipped if they are traced. Params ``{"table"
    [V, E]}``, which starts normal with variance 1 / E.

    Args:
        vocabulary_size: V.
        size: E.
        vectors: given initial vectors ``[V, E]``, such as GloVe's.
        frozen: whether ``vectors`` stay as they are; they are then no params.
    """
    rows = checking.positive_int("vocabulary_size", vocabulary_size)
    size = checking.positive_int("size", size)
    given = None if vectors is None else _given_vectors(vectors, rows, size)
    if checking.flag("frozen", frozen) and given is None:
        raise WrongValue("frozen: expected False without vectors, got True")

    def init(key: Any, *, scale: float | None = None) -> Params:
        key = checking.random_key("key", key)
        if frozen:
            return {}
        if given is not None:
            return {"table": given}
        table = jax.random.normal(key, (rows, size), jnp.float32) * size**-0.5
        return uniform_leaves({"table": table}, key, scale)

    def apply(params: Params, xs: Any, *, dropout: float = 0.0, key: Any = None) -> Vectors:
        cell_checks.entries("params['inputs']", params, () if frozen else ("table",), "embedding")
        ids, lengths = read_ids(xs, rows)
        table: Any = given if frozen else params["table"]
        return Vectors(drop(look_up(table, ids), dropout, key), lengths)

    tied = None if frozen else rows
    return Inputs("embedding", size, init, apply, True, tied)


def no_params(key: Any, *, scale: float | None = None) -> Params:
    """The params of inputs that have none."""
    return {}


def split_lengths(xs: Any) -> tuple[Any, Any]:
    """The values of ``xs``, and their lengths, or None."""
    return (xs.values, xs.lengths) if isinstance(xs, Sequences) else (xs, None)


def read_ids(xs: Any, size: int) -> tuple[jax.Array, Any]:
    """Ids as int32 ``[T, B]`` or ``[B]``, and their lengths.

    Ids outside ``[0, size)`` within the rows' lengths are an error if they are known.
    """
    values, lengths = split_lengths(xs)
    ids = checking.array("xs", values)
    if not jnp.issubdtype(ids.dtype, jnp.integer):
        raise WrongValue(f"xs: expected ids, as integers, got dtype {ids.dtype.name}")
    if ids.ndim not in (1, 2):
        raise WrongValue(f"xs: expected ids [T, B], got shape {ids.shape}")
    if not any(isinstance(part, jax.core.Tracer) for part in (values, lengths)):
        counts = np.asarray(values)
        if lengths is not None:
            counts = counts[np.arange(len(counts))[:, None] < np.asarray(lengths)]
        if counts.size and (counts.min() < 0 or counts.max() >= size):
            raise WrongValue(
                f"xs: expected ids from 0 to {size - 1}, got {counts.min()} to {counts.max()}"
            )
    if jnp.issubdtype(ids.dtype, jnp.unsignedinteger):  # before the cast, which would wrap them
        ids = jnp.minimum(ids, min(size - 1, int(jnp.iinfo(ids.dtype).max)))
    return ids.astype(jnp.int32), lengths


def look_up(table: jax.Array, ids: jax.Array) -> jax.Array:
    """The rows of ``table`` of ``ids``, clipped to it; on an Explicit mesh, on the ids' devices."""
    spec = jax.typeof(ids).sharding.spec
    place = jax.sharding.PartitionSpec(*spec, None) if any(spec) else None
    return table.at[ids].get(mode="clip", out_sharding=place)


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


def _given_vectors(vectors: Any, rows: int, size: int) -> jax.Array:
    table = checking.float_array("vectors", vectors, "[V, E]", 2)
    if table.shape != (rows, size):
        raise WrongValue(f"vectors: expected shape {(rows, size)}, got {table.shape}")
    return table

"""Inputs of one kind: numbers, ids, and ids that are embedded."""

from typing import Any

import jax
import jax.numpy as jnp

from lstm_jax._internal import cell_checks, checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.core.recipes import factory
from lstm_jax.core.typing import Params
from lstm_jax.train.inputs.contract import (
    Inputs,
    Vectors,
    drop,
    look_up,
    nan_where_not,
    no_params,
    read_ids,
    split_lengths,
    uniform_leaves,
)


@factory
def numbers(size: int) -> Inputs:
    """D numbers at each step, ``[T, B, D]``, read as they are. No params.

    In ``mixed`` also D numbers of each row ``[B, D]``, or ``[B]`` if D is 1.

    Args:
        size: D.
    """
    size = checking.positive_int("size", size)

    def apply(params: Params, xs: Any, *, dropout: float = 0.0, key: Any = None) -> Vectors:
        values, lengths = split_lengths(xs)
        values = checking.float_array("xs", values, f"numbers [T, B, {size}]", 1)
        if values.ndim == 1 and size == 1:
            values = values[:, None]
        timeless = values.ndim == 2 and lengths is None
        if values.shape[-1] != size or not (values.ndim == 3 or timeless):
            raise WrongValue(
                f"xs: expected [T, B, {size}] for numbers({size}), got shape {values.shape}"
            )
        return Vectors(values, lengths)

    return Inputs("numbers", size, no_params, apply)


@factory
def one_hot(size: int) -> Inputs:
    """Ids ``[T, B]`` from 0 to ``size - 1``, each read as a vector with a 1 in its place.

    Other ids are an error if they are known, and NaN if they are traced, so that the loss is NaN
    too. In ``mixed`` also one id of each row ``[B]``. No params.
    """
    size = checking.positive_int("size", size)

    def apply(params: Params, xs: Any, *, dropout: float = 0.0, key: Any = None) -> Vectors:
        ids, valid, lengths = read_ids(xs, size)
        units = jax.nn.one_hot(ids, size, dtype=jnp.float32)
        return Vectors(nan_where_not(valid, units), lengths)

    return Inputs("one_hot", size, no_params, apply)


@factory
def embedding(
    vocabulary_size: int, size: int, *, vectors: Any = None, frozen: bool = False
) -> Inputs:
    """Ids ``[T, B]`` from 0 to V - 1, such as tokens or categories, each read as its vector.

    Other ids are an error if they are known, and NaN if they are traced, so that the loss is NaN
    too. In ``mixed`` also one id of each row ``[B]``. Params ``{"table" [V, E]}``, which starts
    normal with variance 1 / E.

    Args:
        vocabulary_size: V.
        size: E.
        vectors: given initial vectors ``[V, E]``, such as GloVe's.
        frozen: whether ``vectors`` stay as they are. They are then no params, but constants of the
            compiled programs.
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
        ids, valid, lengths = read_ids(xs, rows)
        table: Any = given if frozen else params["table"]
        vectors = nan_where_not(valid, look_up(table, ids))
        return Vectors(drop(vectors, dropout, key), lengths)

    tied = None if frozen else rows
    return Inputs("embedding", size, init, apply, True, tied)


def _given_vectors(vectors: Any, rows: int, size: int) -> jax.Array:
    table = checking.float_array("vectors", vectors, "[V, E]", 2)
    if table.shape != (rows, size):
        raise WrongValue(f"vectors: expected shape {(rows, size)}, got {table.shape}")
    return table

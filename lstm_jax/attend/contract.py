"""The contract of attention mechanisms, and the code that they share.

Axes: S places of the memory, ``*batch`` any number of batch axes, M size of the memory's vectors,
Q size of the query, C size of the context, A size of the mechanism's layer.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core.numerics import masked_softmax
from lstm_jax.core.recipes import FactoryMade
from lstm_jax.core.typing import AnyArray, BatchShape, Lengths, Params


class Prepared(NamedTuple):
    """What is computed from a memory once per sequence.

    A memory that all rows share has no ``*batch``.

    Attributes:
        keys: What queries are compared with, ``[*batch, S, ...]``.
        values: What contexts are sums of, ``[*batch, S, ...]``; zero where masked.
        mask: The places that count, ``[*batch, S]``; None for all.
    """

    keys: jax.Array
    values: jax.Array
    mask: jax.Array | None  # [*batch, S]


class Stateless(NamedTuple):
    """The empty state of a mechanism that carries nothing from step to step."""


class _Fields(NamedTuple):
    name: str
    heads: int | None
    init: Callable[..., Params]
    context_size: Callable[[int], int]
    prepare: Callable[..., Prepared]
    start: Callable[..., Any]
    attend: Callable[..., tuple[Any, jax.Array, jax.Array]]


class Attention(FactoryMade, _Fields):
    """An attention mechanism: a tuple of pure functions, like ``lj.Cell``.

    Mechanisms built by equal calls of a factory (``lj.core.factory``) are equal.

    Attributes:
        name: What errors call the mechanism.
        heads: The number of heads; None for a mechanism without heads.
        init: ``(key, query_size, memory_size, dtype=float32) -> params``.
        context_size: ``(memory_size) -> C``.
        prepare: ``(params, memory [S, *batch, M], mask [S, *batch] = None) -> Prepared``, once per
            sequence. A masked place has weight and gradient zero, and its values (NaN included)
            change nothing; a row in which all places are masked has a context of zeros.
        start: ``(batch_shape, places, dtype=float32) -> state``, before the first step.
        attend: ``(params, prepared, state, query [*batch, Q], gain=None) -> (state, context
            [*batch, C], weights [*batch, S])``; with heads, weights are ``[*batch, heads, S]``.
            ``gain [*batch, S]`` multiplies the weights after the softmax.
    """


def no_state(zeros: Callable[[], jax.Array]) -> Stateless:
    """The ``state`` of a mechanism without one."""
    return Stateless()


def mechanism(
    name: str,
    *,
    init: Callable[[jax.Array, int, int, Any], Params],
    score: Callable[[Params, Prepared, Any, jax.Array], jax.Array],
    keys: Callable[[Params, jax.Array], jax.Array] = lambda params, memory: memory,
    values: Callable[[Params, jax.Array], jax.Array] = lambda params, memory: memory,
    read: Callable[[Params, jax.Array, jax.Array], jax.Array] | None = None,
    context_size: Callable[[int], int] = lambda memory_size: memory_size,
    state: Callable[[Callable[[], jax.Array]], Any] = no_state,
    follow: Callable[[Any, jax.Array], Any] = lambda state, weights: state,
    heads: int | None = None,
) -> Attention:
    """Builds a mechanism from its equations.

    Args:
        name: What errors call it.
        init: ``(key, query_size, memory_size, dtype) -> params``; its arguments are checked.
        score: ``(params, prepared, state, query) -> [*batch, S]``, or ``[*batch, heads, S]``.
        keys: ``(params, memory [*batch, S, M]) -> keys``; by default the memory itself.
        values: ``(params, memory) -> values``; by default the memory itself.
        read: ``(params, weights, values) -> context``; by default the weighted sum of the values.
        context_size: ``(memory_size) -> C``; by default M.
        state: The state before the first step, made of ``zeros() [*batch, S]``; by default none.
        follow: ``(state, weights) -> state``, the next state.
        heads: The number of heads, or None.
    """
    read = read or (lambda params, weights, values: weighted_sum(weights, values))

    def checked_init(
        key: PRNGKeyArray, query_size: int, memory_size: int, dtype: Any = jnp.float32
    ) -> Params:
        """Params for queries and a memory of these sizes; see the factory for the entries."""
        key = checking.random_key("key", key)
        query_size = checking.positive_int("query_size", query_size)
        memory_size = checking.positive_int("memory_size", memory_size)
        return init(key, query_size, memory_size, checking.float_dtype("dtype", dtype))

    def prepare(
        params: Params,
        memory: Float[AnyArray, "S *batch M"],
        mask: Bool[AnyArray, "S *rows"] | None = None,
    ) -> Prepared:
        """The keys and values of a sequence's memory."""
        memory, mask = check_memory(memory, mask)
        if mask is not None:
            missing = range(memory.ndim - 1, mask.ndim)
            memory = jnp.where(mask[..., None], jnp.expand_dims(memory, tuple(missing)), 0)
            mask = jnp.moveaxis(mask, 0, -1)
        memory = jnp.moveaxis(memory, 0, -2)
        return Prepared(keys(params, memory), values(params, memory), mask)

    def start(batch_shape: BatchShape, places: int, dtype: Any = jnp.float32) -> Any:
        """The state before the first step, for a memory of ``places``."""
        shape = checking.batch_shape("batch_shape", batch_shape)
        dtype = checking.float_dtype("dtype", dtype)
        return state(lambda: jnp.zeros((*shape, places), dtype))

    def attend(
        params: Params,
        prepared: Prepared,
        state: Any,
        query: Float[AnyArray, "*batch Q"],
        gain: Float[Array, "*batch S"] | None = None,
    ) -> tuple[Any, Float[Array, "*batch C"], Float[Array, "*rows S"]]:
        """One step: ``(state, context, weights)``."""
        query = checking.float_array("query", query, "[*batch, Q]", 1)
        batch = prepared.values.shape[: places_axis(heads)]
        if batch not in ((), query.shape[:-1]):
            raise WrongValue(
                f"query: expected batch axes {batch}, those of the memory, got shape {query.shape}"
            )
        mask = prepared.mask
        if heads is not None:
            mask, gain = (None if a is None else a[..., None, :] for a in (mask, gain))
        weights = masked_softmax(score(params, prepared, state, query), mask)
        if gain is not None:
            weights = weights * gain
        return follow(state, weights), read(params, weights, prepared.values), weights

    return Attention(name, heads, checked_init, context_size, prepare, start, attend)


def check_memory(memory: Any, mask: Any) -> tuple[jax.Array, jax.Array | None]:
    """Returns memory and mask as arrays, if their shapes agree."""
    memory = checking.float_array("memory", memory, "[S, M] or [S, *batch, M]", 2)
    if mask is None:
        return memory, None
    mask = checking.array("mask", mask)
    if mask.dtype != jnp.bool_:
        raise WrongValue(f"mask: expected booleans, got dtype {mask.dtype.name}")
    axes = memory.shape[:-1]
    if mask.ndim < 1 or mask.shape[0] != axes[0] or (len(axes) > 1 and mask.shape[1:] != axes[1:]):
        raise WrongValue(
            f"mask: expected shape {axes}, [S, *batch] of the memory, got {mask.shape}"
        )
    return memory, mask


def places_axis(heads: int | None) -> int:
    """The axis of the places in keys and values."""
    return -2 if heads is None else -3


def weighted_sum(weights: jax.Array, values: jax.Array) -> jax.Array:
    """The sum over S of ``weights [*batch, S]`` times ``values [*batch, S, M]``."""
    return contraction("...s,...sm->...m", weights.astype(values.dtype), values)


def contraction(equation: str, *operands: jax.Array) -> jax.Array:
    """``jnp.einsum`` in the operands' dtype, summed in float32 or wider."""
    sums = jnp.promote_types(jnp.result_type(*operands), jnp.float32)
    return jnp.einsum(equation, *operands, preferred_element_type=sums)


def check_query(query: jax.Array, size: int, name: str) -> jax.Array:
    """Returns ``query`` if its last axis has the ``size`` that the mechanism ``name`` needs."""
    if query.shape[-1] != size:
        raise WrongValue(
            f"query: expected a last axis of {size} for {name}, got shape {query.shape}"
        )
    return query


def matrix(key: jax.Array, shape: tuple[int, int], dtype: Any) -> jax.Array:
    """A Glorot uniform matrix."""
    return jax.nn.initializers.glorot_uniform()(key, shape, dtype)


def vector(key: jax.Array, size: int, dtype: Any) -> jax.Array:
    """A Glorot uniform vector: the weights of a layer with one output."""
    return matrix(key, (size, 1), dtype)[:, 0]


@default_promotion
def length_mask(lengths: Lengths, places: int) -> Bool[Array, "S *batch"]:
    """The mask of a memory with rows of different lengths.

    Args:
        lengths: The places of each row, ``[*batch]``. Values outside [0, S] are an error if they
            are known, and clipped if they are traced.
        places: The number S of all places.

    Returns:
        The mask, ``[S, *batch]``.
    """
    places = checking.positive_int("places", places)
    lengths = checking.lengths(lengths, places, np.shape(lengths))
    return jnp.expand_dims(jnp.arange(places), tuple(range(1, 1 + lengths.ndim))) < lengths

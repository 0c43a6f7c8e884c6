"""The step of each form, derived from the functions of the form.

``observe(cell)`` is the step that also shows its gates; ``advance_of(form)`` is the bare step, in
which the compiler drops what nobody reads.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax._internal.errors import WrongValue
from lstm_jax.core.forms import (
    AttentionState,
    Composite,
    Form,
    Gated,
    Linear,
    MatrixMemory,
    Observed,
    PartCall,
    Plain,
    Product,
    Projected,
    Weights,
    Windowed,
)
from lstm_jax.core.numerics import like, masked_softmax, merge_heads, product
from lstm_jax.core.typing import Params, State

if TYPE_CHECKING:
    from lstm_jax.core.cell import Cell


Observe = Callable[[Params, State, jax.Array], tuple[State, jax.Array, Observed]]


def advance_of(form: Form) -> Callable[[Params, State, jax.Array], tuple[State, jax.Array]]:
    """The ``advance`` of a form."""
    observe = OBSERVE[type(form)](form)

    def advance(params: Params, state: State, x: jax.Array) -> tuple[State, jax.Array]:
        state, y, _ = observe(params, state, x)
        return state, y

    advance.form = form  # type: ignore[attr-defined]  # see ``observe``
    return advance


def observe(cell: "Cell") -> Observe:
    """``(params, state, x) -> (state, y, Observed)`` of ``cell``, with prepared params.

    A cell of no form shows nothing beside its state and output, nor does one whose ``advance`` was
    replaced by another than that of its form, since the form does not describe it.
    """
    if cell.form is not None and getattr(cell.advance, "form", None) is cell.form:
        return OBSERVE[type(cell.form)](cell.form)
    return lambda params, state, x: (*cell.advance(params, state, x), Observed({}))


def observe_gated(form: Gated) -> Observe:
    """The step of a gated form."""

    def observe(params: Params, state: State, x: jax.Array) -> tuple[State, jax.Array, Observed]:
        weights, vectors = form.split(params)
        z = input_product(weights, x, form.product_x)
        r = form.product_h(form.source(vectors, state), weights.w_h)
        new, m, gates = form.pointwise(vectors, state, z, r)
        new, y = project_output(weights.w_p, state, new, m, weights.w_x.dtype)
        return new, y, Observed(gates)

    return observe


def input_product(weights: Weights, x: jax.Array, multiply: Product = product) -> jax.Array:
    """``z = x w_x + b``, the part of a step that does not depend on the state."""
    z = multiply(x, weights.w_x)
    return z if weights.b is None else z + weights.b


def apply_gates(
    form: Gated,
    w_p: jax.Array | None,
    vectors: Any,
    state: State,
    z: jax.Array,
    r: jax.Array,
    dtype: Any,
) -> tuple[State, jax.Array, jax.Array]:
    """The part of a step after the two products: ``pointwise``, and the projection if any.

    Returns:
        ``(state, y, m)``, where m is the output before the projection. The new state has the dtypes
        of the old one, and y has ``dtype``, the compute dtype.
    """
    new, m, _ = form.pointwise(vectors, state, z, r)
    return *project_output(w_p, state, new, m, dtype), m


def project_output(
    w_p: jax.Array | None, old: State, new: State, m: jax.Array, dtype: Any
) -> tuple[State, jax.Array]:
    """The new state in the dtypes of the old one, and the output, after the projection if any."""
    y = m
    if w_p is not None:
        y = product(m, w_p)
        new = new._replace(h=y)
    return like(old, new), y.astype(dtype)


def observe_linear(form: Linear) -> Observe:
    """The step of a linear form."""

    def observe(params: Params, state: State, x: jax.Array) -> tuple[State, jax.Array, Observed]:
        a, b = form.coefficients(params, x)
        h = a * form.read(state) + b
        y = form.output(params, h, x)
        return like(state, form.write(h)), y, Observed(form.gates(params, x))

    return observe


def observe_matrix(form: MatrixMemory) -> Observe:
    """The step of a form with a matrix memory."""

    def observe(params: Params, state: State, x: jax.Array) -> tuple[State, jax.Array, Observed]:
        of_x = form.project(params, x)
        s, m = form.read(state)
        gates = form.gates(of_x) | memory_factors(of_x, m)
        s, m = memory_step(of_x, s, m)
        o = jnp.einsum("...k,...kv->...v", of_x.q, s)
        return like(state, form.write(s, m)), form.output(params, o, m, of_x.aside), Observed(gates)

    return observe


def memory_step(
    of_x: Projected, s: jax.Array, m: jax.Array | None
) -> tuple[jax.Array, jax.Array | None]:
    """The memory s and its stabiliser m after one step."""
    _, k, v, log_keep, log_write, strength, _ = of_x
    if log_write is not None:
        if strength is not None:
            raise WrongValue("project: expected strength or log_write, got both")
        assert m is not None
        kept = m if log_keep is None else log_keep + m
        m = jnp.maximum(kept, log_write)
        s = jnp.exp(kept - m)[..., None, None] * s
        k = jnp.exp(log_write - m)[..., None] * k
    elif log_keep is not None:
        s = jnp.exp(log_keep)[..., None, None] * s
    if strength is not None:
        v = strength[..., None] * (v - jnp.einsum("...k,...kv->...v", k, s))
    return s + k[..., :, None] * v[..., None, :], m


def memory_factors(of_x: Projected, m: jax.Array | None) -> dict[str, jax.Array]:
    """The factors of a step that starts with the stabiliser m, ``[*batch, heads]``.

    "forget" multiplies the memory, if anything does. "input" multiplies the write, or is the
    strength of the delta rule.
    """
    factors: dict[str, jax.Array] = {}
    if of_x.log_write is not None:
        assert m is not None
        kept = m if of_x.log_keep is None else of_x.log_keep + m
        m = jnp.maximum(kept, of_x.log_write)
        factors = {"forget": jnp.exp(kept - m), "input": jnp.exp(of_x.log_write - m)}
    elif of_x.log_keep is not None:
        factors["forget"] = jnp.exp(of_x.log_keep)
    if of_x.strength is not None:
        factors["input"] = of_x.strength
    return factors


def observe_windowed(form: Windowed) -> Observe:
    """The step of a windowed form: the window moves on by one place."""
    positions = np.arange(form.window)

    def observe(
        params: Params, state: AttentionState, x: jax.Array
    ) -> tuple[AttentionState, jax.Array, Observed]:
        q, k, v = form.project(params, x)
        count = jnp.minimum(state.filled + 1, form.window)
        visible = filled_places(count, form.window)

        def move_window(old: jax.Array, new: jax.Array) -> jax.Array:
            return jnp.where(visible[..., None, :, None], append_step(old, new), 0)

        new = AttentionState(move_window(state.keys, k), move_window(state.values, v), count)
        weights = attention_weights(
            form.place(q[..., None, :], positions[-1:]),
            form.place(new.keys.astype(k.dtype), positions),
            form.bias(params, positions[::-1][None]),
            visible[..., None, None, :],
        )
        o = jnp.einsum("...qp,...pd->...qd", weights, new.values.astype(v.dtype))
        y = form.output(params, o[..., 0, :], x)
        gates = {"query": merge_heads(q), "key": merge_heads(k), "value": merge_heads(v)}
        return like(state, new), y, Observed(gates, weights[..., 0, :])

    return observe


def observe_composite(form: Composite) -> Observe:
    """The step of a composite: that of its parts, one after the other."""

    def observe_step(
        params: Params, state: State, x: jax.Array
    ) -> tuple[State, jax.Array, Observed]:
        observed = Observed({})

        def run_part(part: PartCall) -> tuple[State, jax.Array]:
            nonlocal observed
            if part.reverse:
                raise WrongValue(
                    "step: expected a cell, got a bidirectional layer, which reads the sequence "
                    "from both ends; unroll it"
                )
            new, y, shown = observe(part.cell)(part.params, part.state, part.xs)
            observed = add_part(observed, part.name, (part.state, new, y, shown), shown)
            return new, y

        state, y = form.run_parts(run_part, params, x, state, state)
        return state, y, observed

    return observe_step


def add_part(whole: Observed, name: str | None, part: Any, observed: Observed) -> Observed:
    """``whole`` with ``part`` under its name, or without a name with what the part shows."""
    if name is not None:
        return whole._replace(parts=whole.parts | {name: part})
    attention = whole.attention if observed.attention is None else observed.attention
    return Observed(whole.gates | observed.gates, attention, whole.parts | observed.parts)


OBSERVE: dict[type, Callable[[Any], Observe]] = {
    Gated: observe_gated,
    Linear: observe_linear,
    MatrixMemory: observe_matrix,
    Windowed: observe_windowed,
    Plain: lambda form: form.observe,
    Composite: observe_composite,
}


def windowed_attention(
    q: jax.Array, keys: jax.Array, values: jax.Array, bias: jax.Array | None, visible: Any
) -> jax.Array:
    """``softmax(q keys^T / sqrt(d) + bias) values`` (Vaswani et al. 2017, eq. 1).

    Args:
        q: Queries, ``[*batch, heads, Q, d]``.
        keys: ``[*batch, heads, P, d]``.
        values: ``[*batch, heads, P, d]``.
        bias: ``[heads, Q, P]``, added to the scores; or None.
        visible: The places that count, ``[Q, P]`` or ``[*batch, 1, Q, P]``.

    Returns:
        The weighted values, ``[*batch, heads, Q, d]``.
    """
    return jnp.einsum("...qp,...pd->...qd", attention_weights(q, keys, bias, visible), values)


def attention_weights(
    q: jax.Array, keys: jax.Array, bias: jax.Array | None, visible: Any
) -> jax.Array:
    """The weights of ``windowed_attention``, ``[*batch, heads, Q, P]``."""
    scores = jnp.einsum("...qd,...pd->...qp", q / math.sqrt(q.shape[-1]), keys)
    if bias is not None:
        scores = scores + bias
    return masked_softmax(scores, jnp.asarray(visible))


def filled_places(count: jax.Array, window: int) -> jax.Array:
    """Which places of a window are in use, if ``count [*batch]`` are: ``[*batch, W]``."""
    return jnp.arange(window) >= window - count[..., None]


def append_step(old: jax.Array, new: jax.Array) -> jax.Array:
    """``old [..., W, n]`` without its first place, with ``new [..., n]`` as the last."""
    return jnp.concatenate([old[..., 1:, :], new[..., None, :].astype(old.dtype)], axis=-2)

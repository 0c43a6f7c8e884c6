"""Attention mechanisms against NumPy float64 loops written from the papers; masks, gradients."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax import attend
from tests.conformance import close, draw, weighted_sum
from tests.reference import numpy_attend as reference
from tests.selection import mostly_slow

pytestmark = pytest.mark.usefixtures("x64")
STEPS, S, B, M, Q = 3, 5, 3, 4, 3
LENGTHS = np.array([5, 0, 3])
MASK = np.arange(S)[:, None] < LENGTHS

step = reference.step
# Name: mechanism, size of the query, the reference's step.
MECHANISMS = {
    "additive": (attend.additive(6), Q, partial(step, reference.additive)),
    "coverage": (attend.make("coverage", 6), Q, partial(step, reference.coverage)),
    "concat": (attend.concat(6), Q, partial(step, reference.concat)),
    "dot": (attend.dot(), M, partial(step, reference.dot)),
    "scaled_dot": (attend.scaled_dot(), M, partial(step, reference.scaled_dot)),
    "scaled_dot_6": (attend.scaled_dot(6), Q, partial(step, reference.scaled_dot)),
    "general": (attend.general(), Q, partial(step, reference.general)),
    "location": (attend.location(6, 2, 3), Q, partial(step, reference.location)),
    "location_wide": (attend.location(6, 1, 13), Q, partial(step, reference.location)),
    "multi_head": (attend.multi_head(6, 2), Q, partial(reference.multi_head_step, 2)),
    "local_m": (
        attend.local(attend.make("location", 6, filters=2, width=3), 1),
        Q,
        partial(reference.local_monotonic_step, partial(step, reference.location), 1),
    ),
    "local_m_heads": (
        attend.local(attend.multi_head(6, 3), 1),
        Q,
        partial(reference.local_monotonic_step, partial(reference.multi_head_step, 3), 1),
    ),
    "local_p": (
        attend.local(attend.general(), 2, alignment="predictive"),
        Q,
        partial(reference.local_predictive_step, reference.general, 2),
    ),
}


def draw_inputs(name, shared=False):
    mechanism, query_size, expected = MECHANISMS[name]
    params = draw(mechanism.init(jax.random.key(0), query_size, M, jnp.float64), 1)
    memory = draw(jnp.zeros((S, M) if shared else (S, B, M)), 2)
    return mechanism, expected, params, memory, draw(jnp.zeros((STEPS, B, query_size)), 3)


def attend_to_all(mechanism, params, memory, mask, queries):
    """Contexts and weights of all steps, and the final state."""
    prepared = mechanism.prepare(params, memory, mask)
    state = mechanism.start((B,), S, jnp.float64)

    def body(state, query):
        state, context, weights = mechanism.attend(params, prepared, state, query)
        return state, (context, weights)

    return jax.lax.scan(body, state, queries)[::-1]


run = jax.jit(attend_to_all, static_argnums=0)


@pytest.mark.parametrize("shared", mostly_slow([False, True], [False]))
@pytest.mark.parametrize("name", MECHANISMS)
def test_contexts_and_weights_equal_numpy(name, shared):
    mechanism, step, params, memory, queries = draw_inputs(name, shared)
    for mask in (None, MASK):
        given = np.ones((S, B), bool) if mask is None else mask
        (contexts, weights), _ = run(mechanism, params, memory, mask, queries)
        for row in range(B):
            own, past = np.asarray(memory if shared else memory[:, row]), []
            for t in range(STEPS):
                context, expected = step(
                    reference.f64(params), own, given[:, row], np.asarray(queries[t, row]), past
                )
                past.append(expected)
                close((contexts[t, row], weights[t, row]), (context, expected))


@pytest.mark.parametrize("name", mostly_slow(MECHANISMS, list(MECHANISMS)[::3]))
def test_masked_places_are_inert_and_gradients_are_derivatives(name):
    mechanism, _, params, memory, queries = draw_inputs(name)
    poisoned = jnp.where(MASK[..., None], memory, jnp.nan)

    @jax.jit
    def both(params, memory, queries):
        def loss(params, memory, queries):
            (contexts, weights), state = attend_to_all(mechanism, params, memory, MASK, queries)
            return weighted_sum((contexts, weights, state)), weights

        return jax.value_and_grad(loss, (0, 1, 2), has_aux=True)(params, memory, queries)

    (value, weights), grads = both(params, memory, queries)
    close(both(params, poisoned, queries), ((value, weights), grads), 0.0)
    hidden = np.broadcast_to(np.moveaxis(~MASK, 0, -1), (STEPS, B, S))
    weights = np.asarray(weights)
    weights = weights if mechanism.heads is None else np.moveaxis(weights, 2, 0)
    assert not np.any(weights[..., hidden])
    assert not np.any(np.asarray(grads[1])[~MASK]), "gradients of what is masked"
    assert not np.any(np.asarray(grads[2])[:, 1]), "gradients of a query that sees nothing"
    along = draw(grads, 4)
    ends = [
        both(*jax.tree.map(lambda a, d, by=by: a + by * d, (params, memory, queries), along))[0][0]
        for by in (1e-5, -1e-5)
    ]
    slope = sum(map(jnp.vdot, jax.tree.leaves(grads), jax.tree.leaves(along)))
    np.testing.assert_allclose(slope, (ends[0] - ends[1]) / 2e-5, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("name", ["additive", "general", "multi_head"])
def test_narrow_memories_give_what_wide_ones_do(name):
    mechanism, _, params, memory, queries = draw_inputs(name)
    low = jax.tree.map(lambda a: a.astype(jnp.bfloat16), (params, memory, queries))
    (contexts, weights), _ = run(mechanism, low[0], low[1], MASK, low[2])
    expected, _ = run(mechanism, params, memory, MASK, queries)
    assert weights.dtype == contexts.dtype == jnp.float32
    close((contexts, weights), jax.tree.map(jnp.float32, expected), 0.02)


def test_coverage_loss_equals_numpy_and_is_zero_in_the_first_step():
    weights = np.random.default_rng(0).dirichlet(np.ones(S), size=(4, B))
    losses = attend.coverage_loss(weights)
    for row in range(B):
        close(losses[:, row], jnp.asarray(reference.coverage_loss(weights[:, row])))
    assert not np.any(losses[0])


def test_length_mask_counts_places():
    np.testing.assert_array_equal(attend.length_mask(LENGTHS, S), MASK)
    assert attend.length_mask(np.array(2), S).tolist() == [True, True, False, False, False]


def test_a_window_past_the_end_sees_nothing():
    mechanism = attend.local(attend.dot(), 1)
    memory = draw(jnp.zeros((2, M)), 1)
    prepared, state = mechanism.prepare({}, memory), mechanism.start((), 2, jnp.float64)
    seen = []
    for _ in range(4):
        state, context, weights = mechanism.attend({}, prepared, state, jnp.ones(M))
        seen.append((np.asarray(weights) > 0).tolist())
    assert seen == [[True, True], [True, True], [False, True], [False, False]]
    assert not np.any(context)


def test_every_name_makes_a_mechanism():
    for name in attend.registry:
        mechanism = attend.make(name, M)
        params = mechanism.init(jax.random.key(0), M, M)
        prepared = mechanism.prepare(params, jnp.ones((2, M)))
        _, context, weights = mechanism.attend(
            params, prepared, mechanism.start((), 2), jnp.ones(M, jnp.float32)
        )
        np.testing.assert_allclose(weights, np.full(weights.shape, 0.5), err_msg=name)
        assert context.shape == (mechanism.context_size(M),)

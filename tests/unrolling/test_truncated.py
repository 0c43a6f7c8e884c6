from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax import train
from lstm_jax.tasks import Sequences
from tests.cases import CASES
from tests.selection import mostly_slow

# A cell of each form; with noise; with a memory; deep with a learned first state.
NAMES = ("zoneout", "lru", "mlstm", "attention_short", "attentive", "learned_state_chain")
T, B = 7, 3
RNG = np.random.default_rng(0)


def inputs(size, steps=T):
    return jnp.asarray(RNG.normal(size=(steps, B, size)), jnp.float32)


def require_close(got, wanted):
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-6)


@pytest.mark.parametrize("name", mostly_slow(NAMES, ["zoneout", "lru", "attention_short"]))
def test_values_are_those_of_the_whole_and_gradients_stay_in_their_chunk(name):
    case = CASES[name]
    params = case.cell.init(jax.random.key(0), case.input_size)
    xs = inputs(case.input_size).at[2:, 1].set(jnp.nan).at[5:, 2].set(jnp.nan)
    resets = jnp.zeros((T, B), bool).at[3, 2].set(True)
    options = {"lengths": jnp.array([7, 2, 5]), "resets": resets, "key": case.key}

    @jax.jit
    def both(params, xs):
        def cut(xs):
            return train.unroll_truncated(case.cell, params, xs, every=3, offset=2, **options)

        got, pullback = jax.vjp(cut, xs)
        none = jax.tree.map(jnp.zeros_like, got[1])
        last = jax.tree.map(partial(cotangent, 0), got[0]), none.at[5:].set(jnp.cos(got[1][5:]))
        ends = jax.tree.map(partial(cotangent, 1), got[0]), none
        whole = lj.unroll(case.cell, params, xs, **options)
        return got, whole, pullback(last)[0], pullback(ends)[0]

    got, whole, last, ends = both(params, xs)
    require_close(got, whole)
    reached = np.zeros((T, B), bool)
    reached[5:, 0] = True  # by the outputs of steps 5 and 6, the last chunk
    np.testing.assert_array_equal(np.any(last != 0, axis=-1), reached)
    # By the last states: of row 1 after steps 0 and 1, of row 2 after 3 (a reset) and 4.
    reached[:2, 1] = reached[3:5, 2] = True
    np.testing.assert_array_equal(np.any(ends != 0, axis=-1), reached)


def cotangent(value, leaf):
    """``value`` for floating leaves, and the only possible cotangent for the others."""
    if jnp.issubdtype(leaf.dtype, jnp.floating):
        return jnp.full_like(leaf, value)
    return np.zeros(leaf.shape, jax.dtypes.float0)


CELL = lj.rnn(2)
PARAMS = CELL.init(jax.random.key(1), 2)


@pytest.mark.parametrize("every", mostly_slow([1, 3, 7, 9], [3, 9]))
def test_every_chunk_length_gives_the_values_of_the_whole(every):
    xs, state = inputs(2), lj.RNNState(inputs(2)[0])
    got = train.unroll_truncated(CELL, PARAMS, xs, state, every=every)
    require_close(got, lj.unroll(CELL, PARAMS, xs, state))


def by_hand(params, xs, first, weights, stops, lengths):
    """Gradients of sum(weights * ys) plus the sum of the final states, by backpropagation in NumPy:
    none passes from step t to t - 1 where ``stops[t]``."""
    w_x, w_h, b = (np.asarray(params[name], np.float64) for name in ("w_x", "w_h", "b"))
    xs, weights = np.asarray(xs, np.float64), np.asarray(weights, np.float64)
    gradients = {"w_x": 0.0, "w_h": 0.0, "b": 0.0}
    d_xs, d_first = np.zeros_like(xs), np.zeros((xs.shape[1], 2))
    for row, length in enumerate(lengths):
        hs = [np.asarray(first[row], np.float64)]
        for t in range(length):
            hs.append(np.tanh(xs[t, row] @ w_x + hs[-1] @ w_h + b))
        carried = np.ones(2)
        for t in reversed(range(length)):
            a = (weights[t, row] + carried) * (1 - hs[t + 1] ** 2)
            gradients["w_x"] += np.outer(xs[t, row], a)
            gradients["w_h"] += np.outer(hs[t], a)
            gradients["b"] += a
            d_xs[t, row] = w_x @ a
            carried = np.zeros(2) if stops[t] else w_h @ a
        d_first[row] = carried
    return gradients, d_xs, d_first


def test_gradients_are_the_sums_by_hand():
    xs, weights, first = inputs(2), inputs(2), inputs(2)[0]

    def loss(params, xs, h, offset, lengths):
        state, ys = train.unroll_truncated(
            CELL, params, xs, lj.RNNState(h), every=3, offset=offset, lengths=lengths
        )
        return jnp.sum(weights * ys) + jnp.sum(state.h)

    def require_by_hand(gradient, offset, lengths):
        stops = [t > 0 and (t - offset) % 3 == 0 for t in range(T)]
        ends = [T] * B if lengths is None else lengths
        wanted = by_hand(PARAMS, xs, first, weights, stops, ends)
        got = gradient(PARAMS, xs, first, offset, lengths)
        for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(wanted), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)

    gradient = jax.grad(loss, argnums=(0, 1, 2))
    compiled = jax.jit(gradient)
    for offset in (0, 1, 2):
        for lengths in ((7, 7, 7), (7, 3, 0), (4, 5, 1)):
            require_by_hand(compiled, offset, np.array(lengths))
    require_by_hand(gradient, 0, None)
    require_by_hand(gradient, 2, None)


def reach(apply, steps=T):
    """``[T, T]``: whether the output at t has a gradient to the input at s."""
    xs = jnp.asarray(RNG.normal(size=(steps, 2)), jnp.float32)
    jacobian = jax.jit(jax.jacrev(lambda xs: apply(xs).sum(axis=-1)))(xs)
    return jnp.abs(jacobian).sum(axis=-1) > 0


def in_chunks(offset, every, steps=T):
    t, s = np.arange(steps)[:, None], np.arange(steps)
    return (s <= t) & ((t - offset) // every == (s - offset) // every)


@pytest.mark.parametrize("every", mostly_slow([3, 9], [3]))
def test_boundaries_stand_where_the_offset_says(every):
    def reached(offset):
        def apply(xs):
            return train.unroll_truncated(CELL, PARAMS, xs, every=every, offset=offset)[1]

        return reach(apply)

    found = jax.jit(jax.vmap(reached))(jnp.arange(every))
    for offset in range(every):
        np.testing.assert_array_equal(found[offset], in_chunks(offset, every))
    whole = jax.jit(reached)(jnp.int32(every + 2))  # a traced one is taken modulo every
    np.testing.assert_array_equal(whole, in_chunks(2, every))


def test_a_model_draws_its_offset_from_the_key():
    model = train.recurrent(CELL, 2, 1, reads="every", truncate=3, random_offset=True)
    params = model.init(jax.random.key(0))
    keys = jax.random.split(jax.random.key(5), 300)
    drawn = jax.jit(jax.vmap(lambda key: reach(lambda xs: model.apply(params, xs, key=key))))(keys)
    patterns = [in_chunks(offset, 3).tobytes() for offset in range(3)]
    counts = np.bincount([patterns.index(np.asarray(found).tobytes()) for found in drawn])
    assert np.all(np.abs(counts - 100) < 4 * np.sqrt(300 * 2 / 9))  # four standard deviations
    for apply, offset in ((model.apply, 0), (model.answer, -T)):
        pattern = in_chunks(offset, 3 if apply is model.apply else 3 * T)
        np.testing.assert_array_equal(reach(lambda xs, f=apply: f(params, xs)), pattern)


def test_a_truncated_model_has_the_outputs_of_the_whole():
    cell = lj.dropout(lj.gru(3), 0.3)
    key, xs, lengths = jax.random.key(7), inputs(2), jnp.array([4, 7, 1])
    whole = train.recurrent(cell, 2, 1)
    params = whole.init(jax.random.key(0))
    cut = train.recurrent(cell, 2, 1, truncate=3)
    both = jax.jit(lambda values, m: (m.apply(params, values, key=key), m.answer(params, values)),
                   static_argnums=1)  # fmt: skip
    for values in (xs, Sequences(xs, lengths)):
        require_close(both(values, cut), both(values, whole))


def test_gradients_of_many_chunks_are_summed_in_float32():
    cell = lj.rnn(2, activation="identity")
    params = jax.tree.map(jnp.zeros_like, cell.init(jax.random.key(0), 1, jnp.bfloat16))

    def loss(params):
        xs = jnp.ones((600, 1, 1), jnp.bfloat16)
        return train.unroll_truncated(cell, params, xs, every=1)[1].sum()

    assert float(jax.grad(loss)(params)["b"][0]) == 600  # bfloat16 counts to 256


def test_batches_spread_over_devices():
    xs, weights = jnp.tile(inputs(2), (1, 4, 1)), jnp.tile(inputs(2), (1, 4, 1))

    def loss(params, xs, weights, offset):
        _, ys = train.unroll_truncated(CELL, params, xs, every=3, offset=offset)
        return jnp.mean(weights * ys)

    arguments = (PARAMS, xs, weights, jnp.int32(2))
    spread = lj.data_parallel(loss, batch_axes=(None, 1, 1, None))
    require_close(spread(*arguments), jax.jit(jax.value_and_grad(loss))(*arguments))


def test_no_steps_give_the_state_back():
    state, ys = train.unroll_truncated(CELL, PARAMS, jnp.zeros((0, B, 2)), every=3)
    assert ys.shape == (0, B, 2) and not np.any(state.h)


def test_bad_input_names_the_argument():
    xs = inputs(2)
    call = partial(train.unroll_truncated, CELL, PARAMS, xs)
    with pytest.raises(ValueError, match="every: expected a positive integer, got 0"):
        call(every=0)
    with pytest.raises(ValueError, match="offset: expected 0 to 2, below every, got 3"):
        call(every=3, offset=3)
    with pytest.raises(TypeError, match=r"offset: expected an integer, got 0\.5"):
        call(every=3, offset=0.5)
    with pytest.raises(
        ValueError, match=(r"offset: expected one integer, got float32 of shape \(\)")
    ):
        jax.jit(lambda offset: call(every=3, offset=offset))(0.5)
    with pytest.raises(ValueError, match=r"lengths: expected values from 0 to 7, .*got 1 to 8"):
        call(every=3, lengths=jnp.array([1, 2, 8]))
    both = lj.chain(lj.rnn(2), lj.bidirectional(lj.rnn(2), lj.rnn(2)))
    with pytest.raises(ValueError, match=r"cell: .*run in chunks, got chain.*from both ends"):
        train.unroll_truncated(both, both.init(jax.random.key(0), 2), xs, every=3)
    with pytest.raises(ValueError, match="truncate: expected a positive integer, got 0"):
        train.recurrent(CELL, 2, 1, truncate=0)
    with pytest.raises(
        ValueError, match=("random_offset: expected False without truncate, got True")
    ):
        train.recurrent(CELL, 2, 1, random_offset=True)

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lstm_jax as lj
from lstm_jax import train
from lstm_jax.tasks.memory.adding import adding
from tests.platforms import require_same_bits

TASK = adding(6)
CELL = lj.gru(4)
MODEL = train.recurrent(CELL, 2, 1)
OPTIMIZER = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-2))
KEY = jax.random.key(11)


@jax.jit
def one_step(state):
    return train.take_steps(MODEL, TASK, OPTIMIZER, state, KEY, steps=1, batch_size=8)


@jax.jit
def six_steps(state):
    return train.take_steps(MODEL, TASK, OPTIMIZER, state, KEY, steps=6, batch_size=8)


def fresh():
    return train.start(MODEL, OPTIMIZER, jax.random.key(2))


@pytest.mark.slow
def test_a_step_is_the_one_written_by_hand():
    state = fresh()
    key_batch, _ = jax.random.split(jax.random.fold_in(KEY, 0))
    batch = TASK.sample(key_batch, 8)

    def loss(params):
        _, ys = lj.unroll(CELL, params["cell"], batch.xs)
        outputs = ys[-1] @ params["readout"]["w"] + params["readout"]["b"]
        return jnp.mean((outputs[:, 0] - batch.targets) ** 2)

    value, gradient = jax.jit(jax.value_and_grad(loss))(state.params)
    updates, _ = OPTIMIZER.update(gradient, state.opt_state)
    expected = optax.apply_updates(state.params, updates)
    after, metrics = one_step(state)
    np.testing.assert_allclose(metrics.loss, [value], rtol=1e-5)
    for got, wanted in zip(jax.tree.leaves(after.params), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-6)
    assert int(after.step) == 1


def test_a_chunk_equals_its_steps_one_by_one_to_the_bit():
    whole, metrics = six_steps(fresh())
    state, singles = fresh(), []
    for _ in range(6):
        state, single = one_step(state)
        singles.append(float(single.loss[0]))
    require_same_bits(metrics.loss, np.array(singles, np.float32))
    require_same_bits(whole, state)
    assert len(set(singles)) == 6  # every step had a batch of its own


def test_training_learns():
    state, first = fresh(), None
    for _ in range(40):
        state, metrics = six_steps(state)
        first = metrics.loss.mean() if first is None else first
    assert metrics.loss.mean() < 0.5 * first and metrics.errors is None


def test_errors_of_the_training_stream_are_of_the_params_before_each_step():
    success = TASK.success._replace(on="training")
    state = fresh()
    step = jax.jit(
        lambda state: train.take_steps(
            MODEL, TASK._replace(success=success), OPTIMIZER, state, KEY, steps=2, batch_size=8
        )
    )
    _, metrics = step(state)
    for n, params in enumerate([state.params, one_step(state)[0].params]):
        batch, _ = train.draw_batch(TASK, jax.random.fold_in(KEY, n), 8)
        expected = (MODEL.answer(params, batch.xs)[:, 0] - batch.targets) ** 2
        np.testing.assert_allclose(metrics.errors[n], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(metrics.errors.mean(axis=1), metrics.loss, rtol=1e-6)


def test_a_loss_that_is_not_finite_is_named():
    state = fresh()
    bad = jax.tree.map(lambda leaf: leaf * jnp.nan, state.params)
    losses = six_steps(state._replace(params=bad))[1].loss
    with pytest.raises(train.NonFiniteLoss, match=r"gru, seed 3: the loss is nan at step 40;"):
        train.require_finite(losses, "gru, seed 3", 40)
    with pytest.raises(train.NonFiniteLoss, match="the loss is inf at step 7"):
        train.require_finite([1.0, 2.0, np.inf, np.nan], "rnn", 5)
    train.require_finite([1.0, 2.0], "rnn")


def test_bad_input_names_the_argument():
    with pytest.raises(ValueError, match=r"steps: .*got 0"):
        train.take_steps(MODEL, TASK, OPTIMIZER, fresh(), KEY, steps=0, batch_size=8)
    with pytest.raises(ValueError, match=r"batch_size: .*got -1"):
        train.take_steps(MODEL, TASK, OPTIMIZER, fresh(), KEY, steps=1, batch_size=-1)

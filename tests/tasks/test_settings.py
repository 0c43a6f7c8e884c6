"""A task's data and training are the same under any of JAX's settings."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax import tasks, train
from lstm_jax.tasks.settings import default_settings
from tests.selection import mostly_slow

# Of validation and of test, as ``sums`` has them; from a run at JAX's default settings.
SUMS = {
    "adding": ([-16.00131, -4.817446], [90.57174, 9.630922]),
    "adding_1997": ([-102.7256, -3.477512, -4.783679], [163.2203, 151.7409, -3.301201]),
    "associative_recall": ([-81.15375, 5110.854], [-85.99844, 457.5861]),
    "copy_memory": ([-8.159333, 80.60987], [40.3704, -0.6585416]),
    "counting": ([8.758533, -185.4989, -90.32902], [7.309636, 90.356, -96.38533]),
    "delayed_recall": ([-74.803, -74.03915], [448.8599, 31.92795]),
    "digits": ([-79.60036, 11.77604], [-43.90404, -28.7512]),
    "dyck": ([129.534, 167.7425, 32.61718], [-190.33, -555.1066, -51.1362]),
    "embedded_reber": (
        [23.7671, -27.80982, -113.9341, -8.319505],
        [32.30502, 58.48772, 14.79984, 70.81449],
    ),
    "even_pairs": ([-27.80338, 375.226, 12.50918], [22.05754, -479.2862, 32.67529]),
    "flip_flop": ([96.67795, 139.9529], [-13.32983, 10.83166]),
    "induction_heads": ([136.0963, 0.4908943], [-420.2971, 65.38373]),
    "lags_2a": ([-2.119087, 19.20488], [1.671049, 12.66858]),
    "lags_2b": ([79.72346, -2786.917], [35.64343, 242.3196]),
    "lags_2c": ([-432.7955, -210.1583, -3.377539], [-81.96513, 191.6883, 3.427679]),
    "listops": ([-86.77913, -324.6292, -18.78489], [9.134631, 555.1373, 65.4713]),
    "modular_arithmetic": ([153.5077, -196.5474, 35.28461], [-88.03707, -148.1692, 2.469407]),
    "n_bit_flip_flop": ([59.25918, 109.9122], [22.64332, 62.99899]),
    "parity": ([-27.80338, 375.226, 13.19996], [22.05754, -479.2862, -7.385117]),
    "selective_copy": ([-131.5986, 549.8945], [-6.06536, -737.0732]),
    "sequential_mnist": ([151.7832, -39.0474], [-54.16158, 62.71338]),
    "temporal_order": ([-221.5045, 39.86987, 53.97854], [-84.71963, 156.7877, -19.65116]),
    "two_sequence": ([174.0805, -31.11478, -1.300623], [-72.25757, -65.72175, -1.444892]),
    "word_problem": ([46.80042, 375.226, 788.5912], [263.9023, -479.2862, 7366.125]),
}


def sums(batch):
    """A number for each array, which would differ for other data."""
    return [
        float(np.asarray(leaf, np.float64).ravel() @ np.cos(np.arange(leaf.size)))
        for leaf in jax.tree.leaves(batch)
    ]


@contextlib.contextmanager
def other_settings():
    with (
        jax.enable_x64(True),
        jax.threefry_partitionable(False),
        jax.default_prng_impl("rbg"),
        jax.numpy_rank_promotion("raise"),
        jax.numpy_dtype_promotion("strict"),
    ):
        yield


def make(name):
    try:
        return tasks.make(name)
    except (ImportError, OSError) as error:
        pytest.skip(str(error))


# Numbers and symbols, read at the end and at every step; make test-slow takes them all.
QUICK = ("adding", "dyck")


@pytest.mark.parametrize("name", mostly_slow(sorted(tasks.registry), QUICK))
def test_a_task_keeps_the_contract_and_its_data_at_any_setting(name):
    with other_settings():
        task = make(name)
        for split, expected in zip((task.validation, task.test), SUMS[name], strict=True):
            dtypes = {leaf.dtype.name for leaf in jax.tree.leaves(split)}
            assert dtypes <= {"float32", "int32", "bool"}
            np.testing.assert_allclose(sums(split), expected, rtol=1e-4, atol=1e-3)
        batch = jax.eval_shape(lambda key: task.sample(key, 7), jax.random.key(0))
        shape = (7, task.output_size)
        if task.reads == "every":
            xs = batch.xs.values if isinstance(batch.xs, tasks.Sequences) else batch.xs
            shape = (xs.shape[0], *shape)
        outputs = jax.ShapeDtypeStruct(shape, jnp.float32)
        measured = [jax.eval_shape(task.loss, outputs, batch),
                    jax.eval_shape(jax.grad(task.loss), outputs, batch),
                    jax.eval_shape(task.score.measure, outputs, batch)]  # fmt: skip
        if task.success is not None:
            measured.append(jax.eval_shape(task.success.error, outputs, batch))
        assert {m.dtype.name for m in measured} == {"float32"}
        tasks.check(task)
    with jax.enable_x64(True):
        model = train.recurrent(lj.lstm(3), task.input_size, task.output_size, reads=task.reads)
        optimizer = train.optimizer("adam", 0.01)
        state = train.start(model, optimizer, jax.random.key(0))
        after, steps = jax.eval_shape(
            lambda state, key: train.take_steps(
                model, task, optimizer, state, key, steps=2, batch_size=4
            ),
            state,
            jax.random.key(1),
        )
        assert {leaf.dtype.name for leaf in jax.tree.leaves(after)} == {"float32", "int32"}
        assert steps.loss.dtype == jnp.float32


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    mostly_slow(
        ["adding(length=6)", "flip_flop(length=8)", "dyck(max_length=8)"], ["dyck(max_length=8)"]
    ),
)
def test_two_steps_at_64_bits_are_those_at_32(name):
    def trained():
        task = tasks.make(name)
        model = train.recurrent(lj.gru(3), task.input_size, task.output_size, reads=task.reads)
        optimizer = train.optimizer("sgd", 0.1)
        state = train.start(model, optimizer, jax.random.key(0))
        take = jax.jit(
            lambda state, key: train.take_steps(
                model, task, optimizer, state, key, steps=2, batch_size=4
            )
        )
        return take(state, jax.random.key(1))

    plain, steps = trained()
    with jax.enable_x64(True):
        wide, wide_steps = trained()
    np.testing.assert_allclose(wide_steps.loss, steps.loss, rtol=1e-5)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), wide.params,
        plain.params,
    )  # fmt: skip


def test_pairs_of_sequences_are_the_same_at_any_setting():
    def draw():
        task = tasks.reversal.reversal(4, max_length=5)
        return [task.validation, task.test, task.sample(jax.random.key(3, impl="threefry2x32"), 4),
                task.test_at(3, 4)]  # fmt: skip

    plain = draw()
    with other_settings():
        assert {leaf.dtype.name for leaf in jax.tree.leaves(plain)} == {"int32"}
        jax.tree.map(np.testing.assert_array_equal, draw(), plain)


def test_a_jitted_sample_is_the_same_under_the_callers_settings():
    task, key = tasks.make("adding(length=6)"), jax.random.key(3)
    plain = task.sample(key, 5)
    for settings in (jax.enable_x64(True), jax.threefry_partitionable(False)):
        with settings:
            drawn = jax.jit(lambda key: task.sample(key, 5))(key)
        jax.tree.map(np.testing.assert_array_equal, drawn, plain)
    with jax.enable_x64(True):
        with default_settings():
            assert jnp.zeros(1).dtype == jnp.float32
        assert jnp.zeros(1).dtype == jnp.float64

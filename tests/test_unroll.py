"""What the laws do not say of the unroll: memory, devices' starting states, keys, methods."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from tests.conformance import draw


def backward_memory(cell, steps, **options):
    """Bytes of temporary memory that the compiled backward pass asks for."""
    params = jax.eval_shape(lambda key: cell.init(key, 4), jax.random.key(0))
    xs = jax.ShapeDtypeStruct((steps, 8, 4), jnp.float32)

    def loss(params, xs):
        return jnp.sum(lj.unroll(cell, params, xs, **options)[1][-1])

    compiled = jax.jit(jax.grad(loss)).lower(params, xs).compile()
    return compiled.memory_analysis().temp_size_in_bytes


@pytest.mark.parametrize("cell", [lj.lstm(32), lj.mgu(32)], ids=["lstm", "mgu"])
@pytest.mark.parametrize("method", ["scan", "auto"])
def test_recomputing_in_blocks_takes_less_memory(cell, method):
    whole = backward_memory(cell, 1024, method=method)
    blocks = backward_memory(cell, 1024, method=method, checkpoint_every=32)
    assert blocks < 0.5 * whole, (blocks, whole)


def test_blocks_change_no_bit_of_the_outputs():
    cell = lj.lstm(8)
    params, xs = cell.init(jax.random.key(0), 4), draw(jnp.zeros((50, 3, 4)), 0, jnp.float32)
    whole, blocks = (lj.unroll(cell, params, xs, checkpoint_every=n) for n in (None, 7))
    jax.tree.map(np.testing.assert_array_equal, blocks, whole)


@pytest.mark.parametrize("every", [1, 6, 100])
def test_blocks_of_any_length(every):
    cell = lj.gru(4)
    params, xs = cell.init(jax.random.key(0), 3), draw(jnp.zeros((6, 2, 3)), 0, jnp.float32)
    expected = lj.unroll(cell, params, xs)
    jax.tree.map(np.testing.assert_array_equal, lj.unroll(cell, params, xs, checkpoint_every=every),
                 expected)  # fmt: skip


def test_auto_defers_for_gated_cells_and_scans_the_others():
    """Seen in the derivative: a custom one has no forward mode."""

    def forward_mode(cell, method):
        params, xs = cell.init(jax.random.key(0), 2), jnp.ones((3, 2))
        return jax.jvp(lambda xs: lj.unroll(cell, params, xs, method=method)[1], (xs,), (xs,))

    forward_mode(lj.lstm(3), "scan")
    forward_mode(lj.mgu(3), "auto")
    with pytest.raises(TypeError, match="custom_vjp"):
        forward_mode(lj.lstm(3), "auto")


def test_an_ineligible_part_is_named():
    cell = lj.chain(lj.lstm(3), lj.residual(lj.mgu(3)))
    params = cell.init(jax.random.key(0), 3)
    with pytest.raises(ValueError, match=r"^method: got 'deferred', but mgu\(3\) is not of the"):
        lj.unroll(cell, params, jnp.ones((3, 3)), method="deferred")


NOISY = {
    "zoneout": lj.zoneout(lj.lstm(16), 0.5),
    "dropout": lj.dropout(lj.lstm(16), 0.5),
    "dropout_variational": lj.dropout(lj.lstm(16), 0.5, variational=True),
    "dropout_recurrent": lj.dropout(lj.lstm(16), 0.5, on="recurrent", variational=True),
    "drop_connect": lj.drop_connect(lj.lstm(16), 0.5),
}


@pytest.mark.parametrize("name", NOISY)
def test_a_key_is_all_the_randomness_there_is(name):
    cell = NOISY[name]
    params, xs = cell.init(jax.random.key(0), 4), draw(jnp.zeros((9, 3, 4)), 0, jnp.float32)
    run = jax.jit(lambda key: lj.unroll(cell, params, xs, key=key)[1])
    one, again, other = run(jax.random.key(1)), run(jax.random.key(1)), run(jax.random.key(2))
    quiet = lj.unroll(cell, params, xs)[1]
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 1e-3
    assert np.abs(one - quiet).max() > 1e-3
    np.testing.assert_array_equal(quiet, lj.unroll(cell, params, xs)[1])


@pytest.mark.parametrize("name", ["zoneout", "dropout"])
def test_noise_of_a_step_differs_between_steps_and_rows(name):
    """Equal inputs at all steps and rows; the first outputs depend on their own noise alone."""
    cell = NOISY[name]
    params, xs = cell.init(jax.random.key(0), 4), jnp.ones((2, 3, 4))
    resets = jnp.ones((2, 3), bool)
    ys = lj.unroll(cell, params, xs, resets=resets, key=jax.random.key(0))[1]
    np.testing.assert_array_equal(ys[0], ys[1])  # a reset row sees what a new sequence would
    assert np.abs(ys[0, 0] - ys[0, 1]).max() > 1e-3
    if name == "dropout":
        # The same state at each step, so that only the masks differ.
        memoryless = lj.dropout(lj.rnn(16), 0.5)
        params = memoryless.init(jax.random.key(0), 4) | {"w_h": jnp.zeros((16, 16))}
        ys = lj.unroll(memoryless, params, jnp.ones((6, 1, 4)), key=jax.random.key(0))[1]
        assert len({tuple(np.asarray(y).ravel().round(6)) for y in ys}) > 2


def test_legacy_keys_are_taken():
    cell = NOISY["zoneout"]
    params, xs = cell.init(jax.random.PRNGKey(0), 4), jnp.ones((2, 4))
    old = lj.unroll(cell, params, xs, key=jax.random.PRNGKey(3))
    new = lj.unroll(cell, params, xs, key=jax.random.key(3))
    jax.tree.map(np.testing.assert_array_equal, old, new)
    assert jax.tree.structure(params) == jax.tree.structure(cell.init(jax.random.key(0), 4))


def test_the_state_keeps_the_dtype_it_was_given():
    cell = lj.lstm(4)
    params = cell.init(jax.random.key(0), 3, jnp.bfloat16)
    xs = jnp.ones((3, 2, 3))
    state, ys = lj.unroll(cell, params, xs)
    assert (state.c.dtype, ys.dtype) == (jnp.float32, jnp.bfloat16)
    low = cell.initial_state(params, (2,), jnp.bfloat16)
    state, ys = lj.unroll(cell, params, xs, low)
    assert (state.c.dtype, ys.dtype) == (jnp.bfloat16, jnp.bfloat16)


def test_numpy_arrays_are_taken():
    cell = lj.lstm(4)
    params = jax.tree.map(np.asarray, cell.init(jax.random.key(0), 3))
    xs = np.ones((3, 2, 3), np.float32)
    state, ys = lj.unroll(cell, params, xs, lengths=np.array([3, 1]), resets=np.ones((3, 2), bool))
    assert isinstance(ys, jax.Array)
    lj.unroll(cell, params, xs, jax.tree.map(np.asarray, state))


def test_import_changes_no_global_setting():
    """Importing the library starts no backend and sets no flag."""
    import subprocess
    import sys

    code = (
        "import jax, os; before = dict(os.environ); flags = jax.config.values.copy();"
        "import lstm_jax; from jax._src import xla_bridge as bridge;"
        "assert dict(os.environ) == before; assert jax.config.values == flags;"
        "assert not bridge.backends_are_initialized()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

"""What the laws do not cover: allocation, initial states on devices, keys, methods."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from tests.conformance import draw
from tests.platforms import ON_CPU, require_same_bits
from tests.selection import mostly_slow
from tests.unrolling.allocation import backward_bytes

# Where products reserve memory to work in, the arrays must be large beside it.
ROWS, UNITS = (8, 32) if ON_CPU else (128, 256)


KEPT = {"lstm": lj.lstm(UNITS), "mgu": lj.mgu(UNITS), "min_gru": lj.min_gru(UNITS)}


@pytest.mark.parametrize(
    "name, method",
    mostly_slow(
        itertools.product(KEPT, ["scan", "auto"]),
        [("lstm", "auto"), ("mgu", "scan"), ("min_gru", "auto")],
    ),
)
def test_recomputing_in_blocks_takes_less_memory(name, method):
    allocated = functools.partial(
        backward_bytes, KEPT[name], 1024, ROWS, last_only=True, method=method
    )
    at_once, in_blocks = allocated(), allocated(checkpoint_every=32)
    assert in_blocks < 0.5 * at_once, (in_blocks, at_once)


def test_blocks_change_no_bit_of_the_outputs():
    cell = lj.lstm(8)
    params, xs = cell.init(jax.random.key(0), 4), draw(jnp.zeros((50, 3, 4)), 0, jnp.float32)
    whole, blocks = (lj.unroll(cell, params, xs, checkpoint_every=n) for n in (None, 7))
    require_same_bits(blocks, whole)


@pytest.mark.parametrize("every", [1, 6, 100])
def test_blocks_of_any_length(every):
    cell = lj.gru(4)
    params, xs = cell.init(jax.random.key(0), 3), draw(jnp.zeros((6, 2, 3)), 0, jnp.float32)
    expected = lj.unroll(cell, params, xs)
    require_same_bits(lj.unroll(cell, params, xs, checkpoint_every=every), expected)


def test_auto_picks_by_form_and_scans_the_others():
    """Seen in the derivative: a custom one has no forward mode."""

    def forward_mode(cell, method):
        params, xs = cell.init(jax.random.key(0), 2), jnp.ones((3, 2))
        return jax.jvp(lambda xs: lj.unroll(cell, params, xs, method=method)[1], (xs,), (xs,))

    forward_mode(lj.lstm(3), "scan")
    forward_mode(lj.mgu(3), "auto")
    forward_mode(lj.lru(3), "scan")
    for cell in (lj.lstm(3), lj.lru(3)):
        with pytest.raises(TypeError, match="custom_vjp"):
            forward_mode(cell, "auto")


SUMMED = {
    "mgu": lj.mgu(16),
    "lstm": lj.lstm(16, peephole=True),
    "gru": lj.gru(16),
    "projected": lj.lstm(16, projection=8),
    "min_lstm": lj.min_lstm(16),
    "lru": lj.lru(16),
}


def ways_of_summing():
    """An LSTM by its own method in blocks, and a linear cell by "scan"; the others are slow."""
    for name, method, every in itertools.product(SUMMED, ("scan", "auto"), (None, 50)):
        quick = (name, method, every) in (("lstm", "auto", 50), ("min_lstm", "scan", None))
        yield pytest.param(name, method, every, marks=() if quick else pytest.mark.slow)


@pytest.mark.parametrize("name, method, every", list(ways_of_summing()))
def test_bfloat16_gradients_are_summed_over_time_in_float32(name, method, every):
    """A sum of a thousand terms kept in bfloat16 would be off by tens of percent."""
    cell = SUMMED[name]
    rng = np.random.default_rng(0)
    xs = jnp.asarray(rng.normal(size=(1000, 8, 4)), jnp.float32)
    weights = jnp.asarray(rng.normal(size=(1000, 8, cell.size)), jnp.float32)
    params = cell.init(jax.random.key(0), 4)
    low = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), params)
    exact = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), low)

    def gradient(cell, params):
        def loss(params):
            ys = lj.unroll(cell, params, xs, method=method, checkpoint_every=every)[1]
            return jnp.sum(weights * ys.astype(jnp.float32) + 0.1 * ys.astype(jnp.float32))

        return jax.jit(jax.grad(loss))(params)

    expected = gradient(cell, exact)
    for got in (gradient(cell, low), gradient(lj.mixed_precision(cell), exact)):
        for name, leaf in got.items():
            error = np.linalg.norm(np.float32(leaf) - expected[name])
            assert error < 0.03 * np.linalg.norm(expected[name]), name


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int64"])
def test_lengths_may_be_narrower_than_the_time_is_long(dtype):
    cell = lj.rnn(2)
    params = cell.init(jax.random.key(0), 1)
    lengths = np.array([100, 2], dtype)
    for run in (lj.unroll, jax.jit(lj.unroll, static_argnums=0)):
        ys = run(cell, params, jnp.ones((300, 2, 1)), lengths=lengths)[1]
        np.testing.assert_array_equal((ys != 0).any(-1).sum(0), lengths)


def test_a_state_with_matrices_in_it_unrolls():
    """For example fast weights, with further axes after the batch axes."""

    def advance(params, state, x):
        state = 0.5 * state + x[..., :, None] * x[..., None, :]
        return state, state[..., 0] + params["b"]

    cell = lj.Cell("outer(3)", 3, lj.core.GateAxis((), ()),
                   lambda key, size, dtype=jnp.float32: {"b": jnp.zeros(size, dtype)},
                   lambda params, batch=(), dtype=None: jnp.zeros((*batch, 3, 3)),
                   advance)  # fmt: skip
    params, xs = cell.init(jax.random.key(0), 3), draw(jnp.zeros((4, 2, 3)), 0, jnp.float32)
    state, _ = lj.unroll(cell, params, xs, lengths=np.array([4, 2]), resets=np.eye(4, 2) > 0)
    products = xs[:, :, :, None] * xs[:, :, None, :]
    row0 = products[3, 0] + 0.5 * (products[2, 0] + 0.5 * (products[1, 0] + 0.5 * products[0, 0]))
    np.testing.assert_allclose(state[0], row0, rtol=1e-6)
    np.testing.assert_allclose(state[1], products[1, 1], rtol=1e-6)  # reset at 1, ends at 2


def test_blocks_of_an_empty_batch():
    cell = lj.rnn(8)
    ys = lj.unroll(cell, cell.init(jax.random.key(0), 2), jnp.ones((6, 0, 2)), checkpoint_every=4)[
        1
    ]
    assert ys.shape == (6, 0, 8)


@pytest.mark.devices(2)
def test_no_steps_inside_shard_map():
    cell = lj.lstm(3)
    params = cell.init(jax.random.key(0), 2)
    mesh = jax.make_mesh((2,), ("data",), axis_types=(jax.sharding.AxisType.Auto,),
                         devices=jax.devices()[:2])  # fmt: skip
    whole, batch = jax.sharding.PartitionSpec(), jax.sharding.PartitionSpec(None, "data")
    run = jax.shard_map(lambda p, xs: lj.unroll(cell, p, xs)[1], mesh=mesh,
                        in_specs=(whole, batch), out_specs=batch)  # fmt: skip
    assert run(params, jnp.ones((0, 4, 2))).shape == (0, 4, 3)


@pytest.mark.slow
def test_a_program_for_any_time_and_batch_can_be_exported():
    export = pytest.importorskip("jax.export")
    blocks = lj.chain(lj.attention(3), lj.mlstm(3))
    cell = lj.chain(blocks, lj.lstm(3), lj.gru(2), lj.min_gru(3), lj.lru(2))
    params = cell.init(jax.random.key(0), 2)
    steps, batch = export.symbolic_shape("T, B")
    shapes = jax.ShapeDtypeStruct((steps, batch, 2), jnp.float32)
    program = export.export(jax.jit(lambda xs: lj.unroll(cell, params, xs)[1]))(shapes)
    xs = draw(jnp.zeros((5, 3, 2)), 0, jnp.float32)
    np.testing.assert_allclose(
        program.call(xs), lj.unroll(cell, params, xs)[1], rtol=1e-5, atol=1e-6
    )


def test_a_call_outside_jit_compiles_once():
    cell = lj.lstm(5)
    params, xs = cell.init(jax.random.key(0), 2), jnp.ones((4, 3, 2))
    calls = [0]

    def advance(params, state, x, inner=cell.advance):
        calls[0] += 1
        return inner(params, state, x)

    counted = cell._replace(advance=advance, form=None)
    for _ in range(3):
        lj.unroll(counted, params, xs)
    assert calls[0] == 1


def test_an_ineligible_part_is_named():
    cell = lj.chain(lj.lstm(3), lj.residual(lj.mgu(3)))
    params = cell.init(jax.random.key(0), 3)
    with pytest.raises(ValueError, match=r"^method: .* mgu\(3\) is not of the"):
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
    """With equal inputs at all steps and rows; the first outputs depend only on their own noise."""
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

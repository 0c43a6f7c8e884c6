"""An LSTM decoder with attention against NumPy loops; its memory as an argument of programs."""

import gc
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import lstm_jax as lj
from tests.conformance import close, draw, even_sum, weighted_sum
from tests.reference import numpy_attend as reference
from tests.selection import mostly_slow

pytestmark = pytest.mark.usefixtures("x64")
T, S, B, D, H, M = 4, 3, 2, 2, 3, 5
MASK = np.array([[1, 1], [1, 0], [1, 1]], bool)
LSTM = lj.lstm(H)
OPTIONS = {
    "fed": {"size": 4},
    "unfed": {"input_feeding": False},
    "bahdanau": {"style": "bahdanau"},
}


def draw_inputs(options, memory_seed=2, shape=(S, B, M)):
    memory = draw(jnp.zeros(shape), memory_seed)
    cell = lj.attentive(LSTM, memory, mask=MASK, **options)
    params = draw(cell.init(jax.random.key(0), D, jnp.float64), 1)
    return cell, params, draw(jnp.zeros((T, B, D)), 3), memory


def expected_row(name, params, xs, memory, row):
    """Outputs, weights and final state of one row, from a zero state."""
    given = (np.asarray(xs[:, row]), np.zeros(H), np.zeros(H), np.asarray(memory[:, row]))
    if name == "bahdanau":
        return reference.bahdanau_decoder(reference.f64(params), *given, MASK[:, row])
    return reference.luong_decoder(
        reference.f64(params), *given, MASK[:, row], feeding=name == "fed"
    )


@pytest.mark.parametrize("name", OPTIONS)
def test_a_decoder_equals_numpy_and_gives_its_weights(name):
    cell, params, xs, memory = draw_inputs(OPTIONS[name])
    state, ys = lj.unroll(cell, params, xs)
    reading = lj.attentive(LSTM, memory, mask=MASK, returns="weights", **OPTIONS[name])
    read_state, weights = lj.unroll(reading, params, xs)
    close(read_state, state)
    both = lj.attentive(LSTM, memory, mask=MASK, returns="both", **OPTIONS[name])
    assert both.size == cell.size + reading.size
    close(lj.unroll(both, params, xs)[1], jnp.concatenate([ys, weights], axis=-1))
    for row in range(B):
        y, a, h, c = expected_row(name, params, xs, memory, row)
        close((ys[:, row], weights[:, row]), (y, a))
        last = (state.cell.h[row], state.cell.c[row], state.weights[row])
        close(last, (h, c, a[-1]))
    fed = {"fed": ys[-1], "unfed": (), "bahdanau": state.cell.h}[name]
    close(state.fed, fed)


def test_gradients_reach_the_memory_where_it_counts():
    _, params, xs, memory = draw_inputs({})
    lengths = np.array([4, 2])

    @jax.jit
    def both(memory):
        def loss(memory):
            cell = lj.attentive(LSTM, memory, mask=MASK)
            return weighted_sum(lj.unroll(cell, params, xs, lengths=lengths, checkpoint_every=3))

        return jax.value_and_grad(loss)(memory)

    value, grad = both(memory)
    poisoned = jnp.where(MASK[..., None], memory, jnp.nan)
    close(both(poisoned), (value, grad), 0.0)
    assert not np.any(np.asarray(grad)[~MASK])
    v = draw(memory, 7)
    slope = (both(memory + 1e-5 * v)[0] - both(memory - 1e-5 * v)[0]) / 2e-5
    np.testing.assert_allclose(jnp.vdot(grad, v), slope, rtol=1e-7)


def test_another_memory_runs_the_same_program():
    traces = []
    attention = lj.attend.additive(2)

    def advance(params, state, x):
        traces.append(x.shape)
        return LSTM.advance(params, state, x)

    counted = LSTM._replace(advance=advance, form=None)
    outputs, counts = [], []
    for seed in (1, 2, 3):
        memory = draw(jnp.zeros((S, B, M)), seed)
        cell = lj.attentive(counted, memory, attention=attention)
        params = draw(cell.init(jax.random.key(0), D, jnp.float64), 1)
        outputs.append(lj.unroll(cell, params, jnp.ones((T, B, D), jnp.float64))[1])
        counts.append(len(traces))
    assert counts[0] == counts[2] > 0
    assert not np.allclose(outputs[0], outputs[1])


@pytest.mark.slow
def test_nothing_that_is_compiled_keeps_a_memory():
    _, params, xs, memory = draw_inputs({})

    def run(memory):
        cell = lj.mixed_precision(lj.attentive(LSTM, memory), "float32")
        state = cell.initial_state(params, (B,))
        return lj.unroll(cell, params, xs), cell.step(params, state, xs[0])

    with jax.checking_leaks():
        jax.jit(run)(memory)
    given = jnp.array(memory)
    run(given)
    gone = weakref.ref(given)
    del given
    gc.collect()
    assert gone() is None


def test_vmap_over_memories_equals_the_memories_one_by_one():
    _, params, xs, _ = draw_inputs({})
    memories = draw(jnp.zeros((2, S, M)), 4)

    def run(memory):
        return lj.unroll(lj.attentive(LSTM, memory, attention="location"), params, xs)

    params = draw(lj.attentive(LSTM, memories[0], attention="location").init(
        jax.random.key(0), D, jnp.float64), 1)  # fmt: skip
    together = jax.jit(jax.vmap(run))(memories)
    for i, memory in enumerate(memories):
        alone = run(jnp.broadcast_to(memory[:, None], (S, B, M)))  # a row its own memory
        close(jax.tree.map(lambda a, i=i: a[i], together), alone)


def test_a_step_and_explain_read_the_memory():
    cell, params, xs, _ = draw_inputs({})
    state, ys = cell.initial_state(params, (B,)), []
    for x in xs:
        state, y = cell.step(params, state, x)
        ys.append(y)
    close((state, jnp.stack(ys)), lj.unroll(cell, params, xs))
    assert "attentive(lstm(3), additive(3)): scan" in lj.explain(cell, params, xs)
    ahead, params, _, _ = draw_inputs({"input_feeding": False})
    assert "lstm(3): deferred" in lj.explain(ahead, params, xs)


def test_noise_inside_is_drawn_from_the_key():
    memory = draw(jnp.zeros((S, M)), 2)
    noisy = lj.attentive(lj.dropout(LSTM, 0.5), memory)
    params = draw(noisy.init(jax.random.key(0), D, jnp.float64), 1)
    xs = draw(jnp.zeros((T, B, D)), 3)
    quiet = lj.unroll(lj.attentive(LSTM, memory), params, xs)[1]
    close(lj.unroll(noisy, params, xs)[1], quiet)
    loud = lj.unroll(noisy, params, xs, key=jax.random.key(1))[1]
    assert not np.allclose(loud, quiet)


@pytest.mark.slow
@pytest.mark.devices(2)
@pytest.mark.parametrize("attention", mostly_slow(["location", "multi_head"], ["location"]))
def test_memories_spread_over_devices_with_their_rows(attention):
    """Values and gradients are those of one device, on both kinds of mesh and in ``shard_map``."""
    _, _, xs, memory = draw_inputs({})

    def both(params, xs, memory, mask):
        def loss(params, xs, memory):
            cell = lj.attentive(LSTM, memory, mask=mask, attention=attention)
            return even_sum(lj.unroll(cell, params, xs))

        return jax.value_and_grad(loss, (0, 1, 2))(params, xs, memory)

    cell = lj.attentive(LSTM, memory, mask=MASK, attention=attention)
    params = draw(cell.init(jax.random.key(0), D, jnp.float64), 1)
    expected = jax.jit(both)(params, xs, memory, MASK)
    rows, whole = PartitionSpec(None, "data"), PartitionSpec()
    for kind in (AxisType.Auto, AxisType.Explicit):
        mesh = jax.make_mesh((2,), ("data",), axis_types=(kind,), devices=jax.devices()[:2])
        with jax.set_mesh(mesh):
            placed = jax.device_put((xs, memory, MASK), NamedSharding(mesh, rows))
            shared = jax.device_put(params, NamedSharding(mesh, whole))
            close(jax.jit(both)(shared, *placed), expected, 1e-11, str(kind))

    def on_each(*arguments):
        value, grads = both(*arguments)
        return jax.lax.psum(value, "data"), grads

    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:2])
    mapped = jax.shard_map(on_each, mesh=mesh, in_specs=(whole, rows, rows, rows),
                           out_specs=(whole, (whole, rows, rows)))  # fmt: skip
    close(jax.jit(mapped)(params, xs, memory, MASK), expected, 1e-11, "shard_map")


@pytest.mark.parametrize(
    "wrap",
    [
        lambda cell: lj.chain(LSTM, cell),
        lambda cell: lj.dropout(cell, 0.1),
        lambda cell: lj.learned_state(cell),
        lambda cell: lj.attentive(cell, jnp.ones((S, M))),
    ],
    ids=["chain", "dropout", "learned_state", "attentive"],
)
def test_wrappers_say_that_they_go_inside(wrap):
    with pytest.raises(ValueError, match="expected a cell without a memory, got attentive"):
        wrap(lj.attentive(LSTM, jnp.ones((S, M))))

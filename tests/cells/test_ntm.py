"""The Neural Turing Machine: against a NumPy reference, and what its parts do."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from tests.conformance import close, draw
from tests.reference import numpy_memory_cells as reference

T, B, D = 6, 2, 3
KEY = jax.random.key(0)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("read_heads, write_heads, shift", [(1, 1, 1), (2, 3, 2)])
def test_it_equals_numpy(read_heads, write_heads, shift):
    heads = {"read_heads": read_heads, "write_heads": write_heads, "shift": shift}
    cell = lj.ntm(4, slots=6, width=3, **heads)
    params = draw(cell.init(KEY, D, jnp.float64), 1)
    xs = 3.0 * draw(jnp.zeros((T, B, D)), 2)
    start = draw(cell.initial_state(params, (B,)), 3)
    final, ys = lj.unroll(cell, params, xs, start)

    def with_weights(state):
        logs = {name: getattr(state, name) for name in ("read_log", "write_log")}
        return state._replace(**{name: jax.nn.softmax(log) for name, log in logs.items()})

    expected = reference.ntm(params, xs, with_weights(start), **heads)
    close((tuple(with_weights(final)), ys), expected)


def test_a_sequence_starts_at_the_first_slot_of_an_empty_memory():
    cell = lj.ntm(4, slots=8, width=3, read_heads=2)
    params = cell.init(KEY, D)
    state = cell.initial_state(params, (B,))
    weights = jax.nn.softmax(state.read_log)
    assert weights.shape == (B, 2, 8) and np.all(weights[..., 0] > 0.99)
    assert not np.any(state.memory)
    ys = lj.unroll(cell, params, jnp.ones((T, B, D)))[1]
    assert ys.shape == (T, B, cell.size) == (T, B, 4 + 2 * 3)


def test_a_trace_shows_where_the_heads_are():
    cell = lj.ntm(4, slots=8, width=3, read_heads=2, write_heads=1)
    trace = lj.trace(cell, cell.init(KEY, D), jnp.ones((T, B, D)))
    assert trace.attention.shape == (T, B, 3, 8)
    np.testing.assert_allclose(np.sum(trace.attention, -1), 1.0, rtol=1e-5)
    assert sorted(trace.gates) == ["cell", "forget", "input", "output"]


@pytest.mark.parametrize(
    "options",
    [{"slots": 0}, {"width": 1.5}, {"read_heads": 0}, {"write_heads": 0}, {"shift": 16},
     {"shift": 0}, {"forget_bias": "one"}],
)  # fmt: skip
def test_mistakes_name_the_argument(options):
    with pytest.raises((ValueError, TypeError), match=f"^{next(iter(options))}: expected"):
        lj.ntm(4, **options)

"""The mogrifier: against a NumPy reference around NumPy cells."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from tests.conformance import close, draw
from tests.reference import numpy_cells, numpy_memory_cells

T, B, D, H = 5, 3, 4, 6
KEY = jax.random.key(0)


def lstm_step(params):
    def step(x, state):
        final, _ = numpy_cells.lstm_forward(params, x[None], *state)
        return final["h"], final["c"]

    return step


def gru_step(params):
    def step(x, state):
        return (numpy_cells.gru_forward(params, x[None], *state, reset_after=True)[0]["h"],)

    return step


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("make, step", [(lj.lstm, lstm_step), (lj.gru, gru_step)])
@pytest.mark.parametrize("rounds, rank", [(1, None), (5, None), (4, 2)])
def test_it_equals_numpy(make, step, rounds, rank):
    cell = lj.mogrifier(make(H), rounds, rank=rank)
    params = draw(cell.init(KEY, D, jnp.float64), 1)
    xs = draw(jnp.zeros((T, B, D)), 2)
    state = draw(cell.initial_state(params, (B,)), 3)
    names = [f"{'rq'[i % 2]}{i}" for i in range(1, rounds + 1)]
    matrices = [
        np.array(params[name] if rank is None else params[f"{name}_in"] @ params[f"{name}_out"])
        for name in names
    ]
    plain = {name: np.array(leaf) for name, leaf in params["cell"].items()}
    start = tuple(np.array(leaf) for leaf in state)
    expected = numpy_memory_cells.mogrifier(matrices, step(plain), xs, start, rounds)
    final, ys = lj.unroll(cell, params, xs, state)
    close((tuple(final), ys), expected)


def test_a_rank_saves_parameters():
    full, low = lj.mogrifier(lj.lstm(32)), lj.mogrifier(lj.lstm(32), rank=4)
    shapes = [jax.tree.map(jnp.shape, cell.init(KEY, 16)) for cell in (full, low)]
    assert shapes[0]["q1"] == (32, 16) and shapes[0]["r2"] == (16, 32)
    assert shapes[1]["q5_in"] == (32, 4) and shapes[1]["q5_out"] == (4, 16)
    assert set(shapes[0]) == {"cell", "q1", "r2", "q3", "r4", "q5"}


@pytest.mark.parametrize(
    "make, argument",
    [
        (lambda: lj.mogrifier(lj.lstm), "cell"),
        (lambda: lj.mogrifier(lj.chain(lj.lstm(3))), "cell"),
        (lambda: lj.mogrifier(lj.lru(3)), "cell"),
        (lambda: lj.mogrifier(lj.lstmn(3)), "cell"),
        (lambda: lj.mogrifier(lj.zoneout(lj.lstm(3), 0.1)), "cell"),
        (lambda: lj.mogrifier(lj.lstm(3), 0), "rounds"),
        (lambda: lj.mogrifier(lj.lstm(3), rank=0), "rank"),
    ],
)
def test_mistakes_name_the_argument(make, argument):
    with pytest.raises((ValueError, TypeError), match=f"^{argument}: expected"):
        make()

"""Wrappers around cells with their own kinds of memory: correct, or an error when they are
built."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from tests.conformance import close, draw

KEY = jax.random.key(0)


def slstm_case():
    """An sLSTM, params, a nonempty state and one input."""
    cell = lj.slstm(6, 2)
    params = draw(cell.init(KEY, 3, jnp.float64), 1)
    h, c, n, m = draw(tuple(jnp.zeros((4, 2, 6))), 2)
    state = cell.initial_state(params, (2,))._replace(h=h, c=c, n=jnp.abs(n) + 0.1, m=3 * m)
    return cell, params, state, draw(jnp.zeros((2, 3)), 3)


def with_count(state):
    return lj.CountedState(state, jnp.zeros(2, jnp.uint32))


def test_zoneout_of_an_slstm_mixes_what_its_memory_means(x64):
    cell, params, state, x = slstm_case()
    zoned = lj.zoneout(cell, {"h": 0.2, "c": 0.4})
    new, _ = cell.step(params, state, x)
    (got, _), y = zoned.step(params, with_count(state), x)
    for field in ("c", "n"):  # times exp(m), they are what they were divided from
        old, after = (getattr(s, field) * jnp.exp(s.m) for s in (state, new))
        close(getattr(got, field) * jnp.exp(got.m), 0.4 * old + 0.6 * after)
    close(got.h, 0.2 * state.h + 0.8 * new.h)
    close(y, got.h)
    # Another stabiliser, the same meaning: the same outputs from here on.
    moved = state._replace(c=state.c * jnp.exp(-2), n=state.n * jnp.exp(-2), m=state.m + 2)
    xs = draw(jnp.zeros((5, 2, 3)), 4)
    ends = [lj.unroll(zoned, params, xs, with_count(s)) for s in (state, moved)]
    close(ends[0][1], ends[1][1])


def test_zoneout_of_an_empty_slstm_takes_the_first_write(x64):
    cell, params, state, x = slstm_case()
    empty = state._replace(c=0 * state.c, n=0 * state.n, m=state.m + 50)  # whatever m is
    new, _ = cell.step(params, empty, x)
    (got, _), _ = lj.zoneout(cell, {"c": 0.4}).step(params, with_count(empty), x)
    close(got.c / got.n, new.c / new.n)
    close(got.n * jnp.exp(got.m), 0.6 * new.n * jnp.exp(new.m))


def test_zoneout_keeps_the_whole_memory_of_a_unit(x64):
    cell, params, state, x = slstm_case()
    new, _ = cell.step(params, state, x)
    (got, _), _ = lj.zoneout(cell, 0.5).step(params, with_count(state), x, key=KEY)
    kept = np.asarray(got.c == state.c)
    assert 0 < kept.sum() < kept.size
    for field in ("c", "n", "m"):
        old, after = getattr(state, field), getattr(new, field)
        close(getattr(got, field), jnp.where(kept, old, after))


NOT_ITS_OUTPUT = lj.rnn(4)._replace(
    name="twice", form=None, advance=lambda p, s, x: (s, 2.0 * jnp.sum(x) + s.h)
)
REFUSED = {
    "zoneout of a tape": ("cell", lambda: lj.zoneout(lj.lstmn(4, 3), 0.1)),
    "zoneout without h": ("cell", lambda: lj.zoneout(lj.mlstm(4), 0.1)),
    "zoneout of a window": ("cell", lambda: lj.zoneout(lj.attention(4), 0.1)),
    "zoneout of complex units": ("cell", lambda: lj.zoneout(lj.lru(4), 0.1)),
    "zoneout of an h that is not the output": ("cell", lambda: lj.zoneout(NOT_ITS_OUTPUT, 0.1)),
    "zoneout of a chain": ("cell", lambda: lj.zoneout(lj.chain(lj.lstm(4)), 0.1)),
    "zoneout of dropout": ("cell", lambda: lj.zoneout(lj.dropout(lj.lstm(4), 0.1), 0.1)),
    "zoneout of zoneout": ("cell", lambda: lj.zoneout(lj.zoneout(lj.lstm(4), 0.1), 0.1)),
    "zoneout of two directions": (
        "cell", lambda: lj.zoneout(lj.bidirectional(lj.lstm(4), lj.lstm(4)), 0.1)),
    "zoneout of a stabiliser": ("rate", lambda: lj.zoneout(lj.slstm(4), {"m": 0.1})),
    "zoneout of a normaliser": ("rate", lambda: lj.zoneout(lj.slstm(4), {"n": 0.1})),
    "drop_connect of a window": ("cell", lambda: lj.drop_connect(lj.attention(8), 0.1)),
    "drop_connect of a matrix": ("cell", lambda: lj.drop_connect(lj.mlstm(8), 0.1)),
    "drop_connect of linear cells": (
        "cell", lambda: lj.drop_connect(lj.chain(lj.min_gru(3), lj.residual(lj.lru(3))), 0.1)),
    "recurrent dropout of a window": (
        "on", lambda: lj.dropout(lj.attention(8), 0.1, on="recurrent", variational=True)),
    "learned window": ("cell", lambda: lj.learned_state(lj.attention(8))),
    "learned tape": ("cell", lambda: lj.learned_state(lj.lstmn(8, 3))),
    "w_h of a window": ("w_h", lambda: lj.initialize(lj.attention(8), w_h=lj.initializers.lecun())),
    "b of an LRU": ("b", lambda: lj.initialize(lj.lru(8), b=lj.initializers.constant(1.0))),
    "b of a chain": (
        "b", lambda: lj.initialize(lj.chain(lj.lstm(3)), b=lj.initializers.chrono(9.0))),
    "residual in a chain": (r"cells\[1\]", lambda: lj.chain(lj.lstm(4), lj.residual(lj.lstm(5)))),
    "residual of another size": (
        "cell", lambda: lj.residual(lj.chain(lj.residual(lj.lstm(4)), lj.lstm(5)))),
    "two residuals": (
        "backward", lambda: lj.bidirectional(lj.residual(lj.lstm(4)), lj.residual(lj.lstm(5)))),
}  # fmt: skip


@pytest.mark.parametrize("mistake", REFUSED)
def test_what_cannot_be_wrapped_is_refused_when_it_is_built(mistake):
    argument, build = REFUSED[mistake]
    with pytest.raises(ValueError, match=f"^{argument}: "):
        build()


def test_what_can_be_wrapped_is_built():
    lj.chain(lj.lstm(4), lj.residual(lj.lstm(4)))
    lj.bidirectional(lj.residual(lj.lstm(4)), lj.dropout(lj.residual(lj.lstm(4)), 0.1))
    lj.drop_connect(lj.residual(lj.lstm(4)), 0.1)
    lj.initialize(lj.residual(lj.lstm(4)), b=lj.initializers.chrono(9.0))
    compiled = lj.rnn(4)
    step = jax.jit(compiled.advance)  # its h and its output are two results of one program
    lj.zoneout(compiled._replace(form=None, advance=step), 0.1)


def test_a_learned_state_leaves_what_only_steps_can_fill(x64):
    cell = lj.learned_state(lj.chain(lj.slstm(4), lj.attention(4, 2, 3), lj.lstm(3)))
    params = draw(cell.init(KEY, 3, jnp.float64), 1)
    memory, window, last = params["state"]
    assert (memory.c, memory.n, memory.m) == (window.keys, window.values, window.filled) == (
        None, None, None)  # fmt: skip
    start = cell.initial_state(params, (2,))
    assert not any(np.any(leaf) for leaf in (*start[0][1:], *start[1]))
    close((start[0].h, start[2].c), tuple(jnp.stack([leaf] * 2) for leaf in (memory.h, last.c)))
    xs = draw(jnp.zeros((5, 2, 3)), 2)
    inner = lj.chain(lj.slstm(4), lj.attention(4, 2, 3), lj.lstm(3))
    close(lj.unroll(cell, params, xs), lj.unroll(inner, params["cell"], xs, start))
    grads = jax.jit(jax.grad(lambda p: jnp.sum(lj.unroll(cell, p, xs)[1])))(params)["state"]
    assert all(np.all(leaf != 0) for leaf in jax.tree.leaves(grads))


def test_a_learned_state_is_added_to_the_cells_own(x64):
    plain = lj.rnn(3)

    def ones(params, batch_shape=(), dtype=None):
        state = plain.initial_state(params, batch_shape, dtype)
        return state._replace(h=jnp.ones_like(state.h))

    cell = lj.learned_state(plain._replace(initial_state=ones))
    params = cell.init(KEY, 2, jnp.float64)
    close(cell.initial_state(params, (2,)).h, jnp.ones((2, 3)))
    twice = lj.learned_state(cell)
    close(twice.initial_state(twice.init(KEY, 2, jnp.float64)).h, jnp.ones(3))
    params["state"] = params["state"]._replace(h=jnp.arange(3.0))
    close(cell.initial_state(params, ()).h, 1 + jnp.arange(3.0))

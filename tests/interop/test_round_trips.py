"""Weights of every library and kind of module, from it and back: outputs and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from tests.interop.configurations import CONFIGURATIONS
from tests.interop.peers import B, D, T, draw
from tests.selection import mostly_slow

TOLERANCES = {"float32": 1e-6, "float64": 1e-12}
QUICK = ("nnx/optimized_lstm", "linen/gru", "torch/gru_2_layers_bidirectional",
         "keras/gru_bidirectional_sum", "equinox/gru", "haiku/lstm")  # fmt: skip


def assert_close(got, expected, tolerance, what):
    """Differences are relative to the largest element, or to 1."""
    leaves = zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True)
    for one, other in leaves:
        one, other = np.asarray(one), np.asarray(other)
        assert one.dtype == other.dtype and one.shape == other.shape, what
        scale = max(1.0, np.abs(other).max())
        np.testing.assert_allclose(one / scale, other / scale, rtol=0, atol=tolerance, err_msg=what)


def test_there_are_at_least_40_configurations():
    assert len(CONFIGURATIONS) >= 40


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("name", mostly_slow(CONFIGURATIONS, QUICK))
def test_round_trip(name, dtype):
    with jax.enable_x64(dtype == "float64"):
        peer = CONFIGURATIONS[name](dtype)
        tolerance = TOLERANCES[dtype]
        xs = draw(jnp.zeros((T, B, D)), dtype, 1)
        cell, params = peer.ours(peer.arrays)
        assert {leaf.dtype.name for leaf in jax.tree.leaves(params)} == {dtype}
        cotangent = draw(jnp.zeros((T, B, cell.size)), dtype, 2)

        @jax.jit
        def run(arrays, xs):
            loss = lambda arrays, xs: lj.unroll(cell, peer.ours(arrays)[1], xs)[1]  # noqa: E731
            ys, pull = jax.vjp(loss, arrays, xs)
            return ys, pull(cotangent)

        theirs = peer.run(xs, cotangent)
        ours = run(peer.arrays, xs)
        assert_close(ours[0], theirs[0], tolerance, "outputs")
        assert_close(ours[1][0], theirs[1][0], tolerance, "gradients of weights")
        assert_close(ours[1][1], theirs[1][1], tolerance, "gradients of inputs")

        back = peer.written(cell, params)
        assert_close(back.run(xs, cotangent)[0], theirs[0], tolerance, "outputs of the way back")
        again, same = back.ours(back.arrays)
        assert again == cell
        assert_close(same, params, 1e-7 if name.startswith("haiku") else 0, "params")

"""All contenders compute the same; one that does not is found before it is timed."""

import functools
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import peers
from benchmarks.harness import build, devices, work

SHAPE = work.Shape(4, 5, 3, 6)
HERE, _ = peers.available(peers.PEERS)


def test_flax_is_always_here():
    assert "flax" in HERE


@functools.cache
def ours_in(name, cell, layers):
    return build.build(name, work.make(cell, SHAPE, layers))


@pytest.mark.parametrize("cell", work.CELLS)
@pytest.mark.parametrize("name", HERE)
@pytest.mark.slow
def test_a_stack_of_two_agrees_with_ours(name, cell):
    ours = ours_in(peers.counterpart(name, cell), cell, 2)
    build.require_equal(name, build.build(name, work.make(cell, SHAPE, 2)), ours)


@pytest.mark.parametrize("name", [name for name in (peers.OURS, *HERE) if name != "torch"])
@pytest.mark.devices(2)
def test_two_devices_agree_with_one(name):
    spread = build.build(name, work.make("lstm", SHAPE, 1), jax.devices()[:2])
    build.require_equal(name, spread, ours_in(peers.OURS, "lstm", 1))


@pytest.mark.parametrize("cell", work.CELLS)
def test_ours_is_the_plain_derivative(cell):
    """Checks the reference itself, against the loss and the gradients written out here."""
    import lstm_jax as lj

    given = work.make(cell, SHAPE, 1)
    made = lj.lstm(6) if cell == "lstm" else lj.gru(6)
    params = given.layers[0] | ({} if cell == "lstm" else {"b_h": jnp.zeros(6)})

    def loss(params, xs):
        return jnp.vdot(lj.unroll(made, params, xs, method="scan")[1], given.r)

    params_bar, xs_bar = jax.grad(loss, (0, 1))(params, given.xs)
    (layer,), xs = ours_in(peers.OURS, cell, 1).gradients()
    np.testing.assert_allclose(xs, xs_bar, atol=1e-5)
    for key in ("w_x", "w_h", "b"):
        np.testing.assert_allclose(layer[key], params_bar[key], atol=2e-5)


class Wrong:
    """Ours with one array changed: off by a thousandth, or NaN."""

    def __init__(self, ours, where, amount):
        self.ours, self.where, self.amount = ours, where, amount

    def changed(self, array, where):
        array = np.array(array)
        if where == self.where:
            array.flat[0] += self.amount * np.max(np.abs(array))
        return array

    def outputs(self):
        return self.changed(self.ours.outputs(), "outputs")

    def gradients(self):
        (layer,), xs = self.ours.gradients()
        changed = {
            key: self.changed(array, f"gradient of {key} in") for key, array in layer.items()
        }
        return [changed], self.changed(xs, "gradient of xs")


PLACES = ["outputs", "gradient of xs"] + [f"gradient of {key} in" for key in ("w_x", "w_h", "b")]


@pytest.mark.parametrize("amount", [1e-3, np.nan])
@pytest.mark.parametrize("where", PLACES)
def test_a_wrong_contender_is_named_with_what_is_wrong(ours, where, amount):
    build.require_equal("right", Wrong(ours, where, 1e-6), ours)
    with pytest.raises(build.Disagreement, match=f"liar: {where}"):
        build.require_equal("liar", Wrong(ours, where, amount), ours)


@pytest.fixture(scope="module")
def ours():
    return ours_in(peers.OURS, "lstm", 1)


def test_haiku_is_compared_with_ours_in_its_convention():
    if "haiku" not in HERE:
        pytest.skip("Haiku is not installed")
    assert peers.contenders(("haiku",), "gru") == ("lstm_jax", "lstm_jax_before", "haiku")
    assert peers.contenders(("haiku",), "lstm") == ("lstm_jax", "haiku")


@pytest.mark.parametrize("name", ["keras", "torch"])
def test_a_peer_that_is_not_installed_is_named_and_left_out(monkeypatch, name):
    without(monkeypatch, name)
    here, absent = peers.available(("flax", name))
    assert here == ("flax",) and list(absent) == [name]
    assert peers.TITLES[name] in absent[name]


def without(monkeypatch, name):
    """Makes the peer's package look missing. (Its own entry stays, since others look there.)"""
    monkeypatch.setitem(sys.modules, f"benchmarks.peers.{peers.MODULES[name]}", None)


@pytest.mark.devices(2)
@pytest.mark.parametrize("argnums", [0, (0, 1)])
def test_data_parallel_is_value_and_grad(argnums):
    def loss(weights, rows):
        return jnp.sum(jnp.sin(rows @ weights))

    weights, rows = jnp.arange(6.0).reshape(3, 2), jnp.arange(12.0).reshape(4, 3) / 7
    spread = devices.data_parallel(loss, argnums, batch_axes=(None, 0), devices=jax.devices()[:2])
    expected = jax.value_and_grad(loss, argnums)(weights, rows)
    jax.tree.map(
        lambda got, right: np.testing.assert_allclose(got, right, rtol=1e-5, atol=1e-5),
        spread(weights, rows),
        expected,
    )


def test_flops_are_those_of_the_products():
    assert work.matmul_flops("lstm", work.Shape(2, 3, 5, 7), 1) == 2 * 2 * 3 * (5 + 7) * 4 * 7
    two = work.matmul_flops("gru", work.Shape(2, 3, 5, 7), 2)
    assert two == 2 * 2 * 3 * ((5 + 7) + (7 + 7)) * 3 * 7


@pytest.mark.parametrize("text", ["64x784x1", "axbxcxd", "0x1x1x1", "1x-1x1x1"])
def test_a_shape_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match="shapes: expected BxTxDxH"):
        work.Shape.parse(text)

"""The options of the deferred method: each gives scan's numbers; which are chosen, and the
reasons."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax.unrolling.methods.deferred_options import choose
from tests.conformance import draw
from tests.platforms import cpu_alone, require_same_bits
from tests.selection import mostly_slow
from tests.unrolling.allocation import backward_bytes

STEPS, ROWS, INPUTS = 7, 3, 2
CELLS = {
    "lstm": lj.lstm(4),
    "lstm peephole projection": lj.lstm(4, peephole=True, projection=3),
    "lstm norm": lj.lstm(4, norm="layer"),
    "gru": lj.gru(4),
    "zoneout gru": lj.zoneout(lj.gru(4), 0.3),
    "lstm_1997": lj.lstm_1997(2, 2),
}
WAYS = [
    lj.Deferred(product, keep, block)
    for product in ("apart", "joined", "hoisted")
    for keep in ("products", "states")
    for block in (1, 3, 7)
]


def gradients(cell, method, reverse):
    """Outputs, final state and all gradients, in float64 with lengths, resets and a key."""
    params = draw(cell.init(jax.random.key(0), INPUTS, jnp.float64), 1, jnp.float64)
    xs = draw(jnp.zeros((STEPS, ROWS, INPUTS)), 2, jnp.float64)
    weights = draw(jnp.zeros((STEPS, ROWS, cell.size)), 3, jnp.float64)
    options = {
        "lengths": jnp.array([7, 4, 0]),
        "resets": jnp.zeros((STEPS, ROWS), bool).at[3, 0].set(True),
        "key": jax.random.key(5),
        "reverse": reverse,
    }

    def loss(params, xs):
        state, ys = lj.unroll(cell, params, xs, method=method, **options)
        floats = [
            leaf for leaf in jax.tree.leaves(state) if jnp.issubdtype(leaf.dtype, jnp.inexact)
        ]
        return jnp.sum(weights * ys) + sum(jnp.sum(leaf**2) for leaf in floats), (floats, ys)

    return jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))(params, xs)


# Of the ways those that differ in all; two that do, in blocks that do not divide the steps.
SOME, TWO = WAYS[1::4], WAYS[1::15]


QUICK = ("lstm",)


@pytest.mark.parametrize("which", ["some", pytest.param("all", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in CELLS]
)
def test_every_way_gives_the_numbers_of_scan(x64, name, which):
    """All options of all cells are slow."""
    cell = CELLS[name]
    for reverse in (False, True):
        expected = gradients(cell, "scan", reverse)
        ways = (SOME, TWO)
        for way in WAYS if which == "all" else ways[reverse]:
            try:
                got = gradients(cell, way, reverse)
            except ValueError as error:
                assert way.product == "joined" and "'apart' or 'hoisted'" in str(error)
                assert name not in ("lstm", "lstm peephole projection", "lstm_1997")
                continue
            jax.tree.map(
                lambda a, b, way=way: np.testing.assert_allclose(
                    a, b, rtol=1e-12, atol=1e-12, err_msg=str(way)
                ),
                got,
                expected,
            )


@pytest.mark.slow
def test_second_derivatives_in_blocks(x64):
    cell = lj.gru(3)
    params = draw(cell.init(jax.random.key(0), 2, jnp.float64), 1, jnp.float64)
    xs = draw(jnp.zeros((5, 2, 2)), 2, jnp.float64)

    def hessian_product(method):
        def loss(params):
            return jnp.sum(lj.unroll(cell, params, xs, method=method)[1] ** 2)

        def slope(params):
            return sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(jax.grad(loss)(params)))

        return jax.grad(slope)(params)

    expected = hessian_product("scan")
    for way in (lj.Deferred("apart", "products", 2), lj.Deferred("hoisted", "states", 2)):
        got = hessian_product(way)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10), got, expected)


def choice_for(cell, shape, platform="cpu", **options):
    params = jax.eval_shape(lambda key: cell.init(key, shape[-1]), jax.random.key(0))
    weights = jax.eval_shape(lambda params: cell.form.split(params)[0], params)
    choice = choose(cell.form, weights, shape, lj.Deferred(**options), platform)
    return choice.product, choice.keep, choice.block


def test_what_is_taken_on_a_cpu():
    assert choice_for(lj.lstm(128), (784, 64, 1)) == ("apart", "products", 8)
    assert choice_for(lj.lstm(128), (200, 32, 128)) == ("apart", "products", 20)
    assert choice_for(lj.lstm(512), (100, 32, 512)) == ("apart", "products", None)
    assert choice_for(lj.lstm(64), (500, 1, 512)) == ("hoisted", "products", None)
    assert choice_for(lj.lstm(1024), (64, 16, 1024)) == ("hoisted", "products", None)
    assert choice_for(lj.lstm(128), (200, 32, 128), keep="states", block=9) == (
        "apart",
        "states",
        9,
    )


def test_elsewhere_products_are_hoisted_and_gradients_one_product():
    assert choice_for(lj.lstm(128), (784, 64, 1), "gpu") == ("hoisted", "products", None)


@pytest.mark.parametrize("steps", [97, 100, 784, 1001])
def test_blocks_are_equal_where_the_steps_allow_it(steps):
    """A shorter last block is compiled separately; a prime number of steps always leaves one."""
    block = choice_for(lj.gru(128), (steps, 64, 16))[2]
    assert 4 <= block <= 16
    assert steps % block == 0 or steps == 97


@cpu_alone
def test_the_backward_pass_in_blocks_takes_less_memory():
    """Cotangents of the pre-activations exist for one block at a time, not for all steps."""
    cell = lj.lstm(32)

    def allocated(**options):
        return backward_bytes(cell, 512, 8, last_only=True, method=lj.Deferred(**options))

    one_array = 512 * 8 * 4 * 32 * 4  # [T, B, 4H] of float32
    assert allocated(block=16) < allocated(block=512) - 0.8 * one_array
    assert allocated(block=16, keep="states") < allocated(block=16) - 0.8 * one_array


@cpu_alone
def test_explain_names_each_cell_its_method_and_the_reasons():
    cell = lj.chain(lj.lstm(8), lj.min_gru(8), lj.mgu(4))
    params = cell.init(jax.random.key(0), 3)
    said = lj.explain(cell, params, jnp.zeros((100, 4, 3)), checkpoint_every=10)
    lines = said.split("\n")
    assert [line for line in lines if not line.startswith(" ")] == [
        "lstm(8): deferred",
        "min_gru(8): associative",
        "mgu(4): scan",
        lines[-1],
    ]
    assert "  product 'apart': a product in each step leaves z in the cache for the gates" in lines
    assert lines[-1].startswith("backward pass: recomputed in blocks of 10 steps, about ")
    asked = lj.explain(
        lj.lstm(8), params[0], jnp.zeros((9, 3)), method=lj.Deferred(keep="states", block=3)
    )
    assert "keep 'states': as requested" in asked and "block 3: as requested" in asked


BOUNDED = {"lstm": lj.lstm(32), "chain": lj.chain(lj.gru(32), lj.lstm(16)), "mgu": lj.mgu(32)}


@cpu_alone
@pytest.mark.parametrize(
    "name, bound",
    mostly_slow(
        itertools.product(BOUNDED, ["12 MiB", "18MB"]), [("chain", "18MB"), ("mgu", "12 MiB")]
    ),
)
def test_a_bound_on_memory_is_kept(name, bound):
    """By the compiled program's own analysis, on a sequence that takes more without a limit."""
    cell = BOUNDED[name]
    params = cell.init(jax.random.key(0), 8)
    xs = jnp.zeros((10_000, 2, 8))

    def temporary(every):
        def loss(params, xs):
            return jnp.sum(lj.unroll(cell, params, xs, checkpoint_every=every)[1] ** 2)

        compiled = jax.jit(jax.grad(loss)).lower(params, xs).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    limit = {"12 MiB": 12 * 2**20, "18MB": 18_000_000}[bound]
    assert temporary(bound) <= limit < temporary(None)
    assert temporary("auto") < 0.4 * temporary(None)


def test_auto_and_bounded_blocks_change_no_number():
    cell = lj.lstm(8)
    params, xs = cell.init(jax.random.key(0), 4), draw(jnp.zeros((60, 3, 4)), 0, jnp.float32)
    whole = lj.unroll(cell, params, xs)
    for every in ("auto", "40 KiB"):
        blocks = lj.unroll(cell, params, xs, checkpoint_every=every)
        require_same_bits(blocks, whole)


def test_a_bound_below_what_is_needed_says_how_much_is():
    cell = lj.lstm(8)
    params = cell.init(jax.random.key(0), 4)
    with pytest.raises(ValueError, match=r"^checkpoint_every: expected .* or more .*got '1 KiB'"):
        lj.unroll(cell, params, jnp.zeros((60, 3, 4)), checkpoint_every="1 KiB")

"""``additive`` is a promise about ``pointwise``, checked when a cell is built."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax.core import initializers as init
from lstm_jax.core import promises, recipes

SIZE = 3

pytestmark = pytest.mark.usefixtures("without_shape_annotations")

CLAMP = jax.custom_jvp(lambda x: x)
CLAMP.defjvps(lambda d, y, x: 0.5 * d)


def build(pointwise, additive, **given):
    axis = lj.core.equal_gates(("gate", "candidate"), SIZE)

    def init_params(key, input_size, dtype):
        return init.packed(key, input_size, axis, dtype) | {"v": jnp.ones(SIZE, dtype)}

    return lj.core.gated_cell(
        "mine", SIZE, axis, init=init_params, state=lambda zeros: lj.RNNState(zeros(SIZE)),
        pointwise=pointwise, additive=additive, **given,
    )  # fmt: skip


def halves(packed):
    return jnp.split(packed, 2, axis=-1)


def of(function):
    """A pointwise function whose state and output are the first half of ``function(z, r)``."""

    def pointwise(vectors, state, z, r):
        h = jnp.tanh(function(z, r)[..., :SIZE]) * vectors["v"] + 0.5 * state.h
        return lj.RNNState(h), h, {}

    return pointwise


def split_by_gate(z, r):
    (z_gate, z_candidate), (r_gate, r_candidate) = halves(z), halves(r)
    return jax.nn.sigmoid(z_gate + r_gate) * jnp.tanh(z_candidate + r_candidate)


def reset_after(z, r):
    (z_gate, z_candidate), (r_gate, r_candidate) = halves(z), halves(r)
    return jnp.tanh(z_candidate + jax.nn.sigmoid(z_gate + r_gate) * r_candidate)


KEPT = {
    "the sum": (of(lambda z, r: z + r), True),
    "the sum, turned round": (of(lambda z, r: r + z), 2 * SIZE),
    "NumPy's True": (of(lambda z, r: z + r), np.True_),
    "gate by gate": (of(split_by_gate), True),
    "a bias between": (of(lambda z, r: (z + 1.0) + r), True),
    "a difference of minus": (of(lambda z, r: z - (-r)), True),
    "reshaped": (of(lambda z, r: (z.reshape(2, SIZE) + r.reshape(2, SIZE)).reshape(-1)), True),
    "in bfloat16": (of(lambda z, r: (z + r).astype(jnp.bfloat16).astype(z.dtype)), True),
    "inside jit": (of(jax.jit(lambda z, r: z + r)), True),
    "that of products": (of(lambda z, r: jnp.log(jnp.exp(z * 1e-2) * jnp.exp(r * 1e-2))), True),
    "scaled alike": (of(lambda z, r: 2.0 * z + 2.0 * r), True),
    "half of the columns": (of(reset_after), SIZE),
    "half of them, of NumPy": (of(reset_after), np.int64(SIZE)),
    "nothing": (of(lambda z, r: z * r), False),
    "no columns": (of(lambda z, r: z * r), 0),
}


@pytest.mark.parametrize("pointwise, additive", KEPT.values(), ids=KEPT)
def test_a_promise_that_is_kept(pointwise, additive):
    cell = build(pointwise, additive)
    if additive is not np.True_:
        assert cell.form.additive == additive
    params = cell.init(jax.random.key(0), 2)
    xs = jax.random.normal(jax.random.key(1), (4, 2))
    ways = ["scan", "deferred", lj.Deferred(product="hoisted")]
    found = [lj.unroll(cell, params, xs, method=method)[1] for method in ways]
    np.testing.assert_allclose(found[1:], [found[0]] * 2, rtol=2e-2, atol=1e-3)


FALSE = {
    "half of r": (of(lambda z, r: z + 0.5 * r), True, "values"),
    "the difference": (of(lambda z, r: z - r), True, "values"),
    "z alone": (of(lambda z, r: z), True, "values"),
    "r alone": (of(lambda z, r: r), True, "values"),
    "other places": (of(lambda z, r: z + r[::-1]), True, "values"),
    "one place for all": (of(lambda z, r: z + r[..., :1]), True, "values"),
    "only far out": (of(lambda z, r: z + jnp.clip(r, -20.0, 20.0)), True, "values"),
    "rounded apart": (of(lambda z, r: jnp.round(z) + r), True, "values"),
    "the product": (of(lambda z, r: z + r + 1e-3 * z * r), True, "values"),
    "a gradient that stops": (of(lambda z, r: z + jax.lax.stop_gradient(r)), True, "gradients"),
    "a gradient of its own": (of(lambda z, r: z + CLAMP(r)), True, "gradients"),
    "half of the columns": (of(reset_after), True, "values"),
    "one column too many": (of(reset_after), SIZE + 1, "values"),
    "inside jit": (of(jax.jit(lambda z, r: z + 0.5 * r)), True, "values"),
}


@pytest.mark.parametrize("pointwise, additive, what", FALSE.values(), ids=FALSE)
def test_a_promise_that_is_not_kept_is_refused(pointwise, additive, what):
    with pytest.raises(ValueError, match=rf"^additive: expected .* whose {what} differ .*\(mine\)"):
        build(pointwise, additive)


def test_the_state_counts_too():
    def pointwise(vectors, state, z, r):
        return lj.RNNState(halves(r)[0]), halves(z + r)[0], {}

    with pytest.raises(ValueError, match=r"^additive: "):
        build(pointwise, True)


@pytest.mark.parametrize("additive", [-1, 2 * SIZE + 1, 2.0, "yes", None, (1, 2)])
def test_what_is_no_promise(additive):
    with pytest.raises((ValueError, TypeError), match=r"^additive: expected True, False, or"):
        build(of(lambda z, r: z + r), additive)


def test_a_false_promise_is_refused_in_any_mode():
    def build_false():
        build(of(lambda z, r: z + 0.25 * r), True)

    def traced(x):
        build_false()
        return x

    with pytest.raises(ValueError, match=r"^additive: "):
        jax.jit(traced)(1.0)
    with (
        jax.numpy_rank_promotion("raise"),
        jax.numpy_dtype_promotion("strict"),
        jax.debug_nans(True),
        pytest.raises(ValueError, match=r"^additive: "),
    ):
        build_false()
    with jax.disable_jit(), pytest.raises(ValueError, match=r"^additive: "):
        build_false()


def test_a_true_promise_is_found_true_inside_jit_and_leaves_no_tracer():
    params = lj.lstm(6).init(jax.random.key(0), 2)
    xs = jnp.ones((3, 1, 2))

    def outputs(params):
        return lj.unroll(lj.lstm(6, gate_activation="hard_sigmoid"), params, xs)[1]

    np.testing.assert_allclose(jax.jit(outputs)(params), outputs(params), rtol=1e-6)


def test_a_cell_that_takes_inputs_of_its_size_alone_is_checked_by_them():
    def only_square(key, input_size, dtype):
        if input_size != SIZE:
            raise ValueError(f"input_size: expected {SIZE}, got {input_size}")
        return init.packed(key, input_size, axis, dtype)

    axis = lj.core.equal_gates(("cell",), SIZE)
    with pytest.raises(ValueError, match=r"^additive: "):
        lj.core.gated_cell(
            "square", SIZE, axis, init=only_square, state=lambda zeros: lj.RNNState(zeros(SIZE)),
            pointwise=lambda vectors, state, z, r: (lj.RNNState(z), z - r, {}), additive=True,
        )  # fmt: skip


def test_a_form_that_no_builder_has_seen_is_checked_when_it_is_unrolled():
    cell = lj.rnn(SIZE)
    params = cell.init(jax.random.key(0), 2)
    xs = jnp.ones((3, 4, 2))

    def pointwise(vectors, state, z, r):
        h = jnp.tanh(z + 0.5 * r)
        return lj.RNNState(h), h, {}

    false = cell._replace(name="by hand", form=cell.form._replace(pointwise=pointwise))
    with pytest.raises(ValueError, match=r"^additive: .*\(by hand\)"):
        lj.unroll(false, params, xs)
    true = cell._replace(form=cell.form._replace(pointwise=pointwise, additive=False))
    lj.unroll(true, params, xs)


@pytest.mark.parametrize("make", [
    lambda: lj.zoneout(lj.lstm(5), 0.1),
    lambda: lj.dropout(lj.gru(5), 0.1, on="recurrent", variational=True),
])  # fmt: skip
def test_wrappers_keep_the_promise_of_what_they_wrap(make):
    cell = make()
    params = cell.init(jax.random.key(0), 2)
    xs = jnp.ones((3, 4, 2))
    lj.unroll(cell, params, xs, key=jax.random.key(1))
    assert cell.form in promises._kept


def test_the_cells_here_are_found_true_by_reading_alone(monkeypatch):
    def no_probes(*args):
        raise AssertionError("probed")

    monkeypatch.setattr(promises, "_find_difference", no_probes)
    monkeypatch.setattr(promises, "_kept", {})
    for name in lj.cells.registry:
        cell = lj.cells.make(name, 4)
        recipe = cell.recipe
        recipes.build_once.__wrapped__(recipe, recipe.factory.__wrapped__, False)
    assert len(promises._kept) >= 15


def test_a_strength_does_not_go_with_a_log_write():
    cell = lj.mlstm(2)
    form = cell.form._replace(
        project=lambda params, x: cell.form.project(params, x)._replace(strength=jnp.ones(1))
    )
    both = lj.core.matrix_cell(
        "both", 2, cell.axis, init=lambda key, size, dtype: cell.init(key, size, dtype),
        state=lambda zeros: cell.initial_state({}), **form._asdict(),
    )  # fmt: skip
    params = both.init(jax.random.key(0), 2)
    with pytest.raises(ValueError, match=r"^project: expected strength or log_write, got both"):
        both.step(params, both.initial_state(params), jnp.ones(2))

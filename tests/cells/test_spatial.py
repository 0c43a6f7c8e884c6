"""Cells of images: the references in NumPy, Keras' layer, and errors."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from tests.conformance import close, draw
from tests.reference import numpy_spatial as reference

T, B, D = 4, 3, 2
LENGTHS = np.array([4, 0, 3])
RESETS = np.random.default_rng(0).random((T, B)) < 0.3
VALID = {"stride": (1, 2), "dilation": (2, 1), "padding": "valid"}

CELLS = {
    "conv_lstm": (lj.conv_lstm(2, (4, 3)), reference.conv_lstm),
    "conv_lstm_line": (
        lj.conv_lstm(3, 5, 5, peephole=True, stride=2),
        partial(reference.conv_lstm, stride=(2,)),
    ),
    "conv_lstm_volume": (lj.conv_lstm(2, (2, 3, 2), (1, 3, 3)), reference.conv_lstm),
    "conv_lstm_peephole": (lj.conv_lstm(2, (3, 4), peephole=True), reference.conv_lstm),
    "conv_lstm_valid": (
        lj.conv_lstm(2, (5, 6), (2, 3), recurrent_kernel=(1, 3), **VALID),
        partial(reference.conv_lstm, **VALID),
    ),
    "conv_lstm_strided": (
        lj.conv_lstm(2, (4, 5), 3, stride=2), partial(reference.conv_lstm, stride=(2, 2)),
    ),
    "conv_lstm_norm": (
        lj.conv_lstm(3, (3, 2), norm="layer"), partial(reference.conv_lstm, norm=True),
    ),
    "conv_gru": (lj.conv_gru(2, (4, 3)), reference.conv_gru),
    "conv_gru_reset_before": (
        lj.conv_gru(2, (4, 3), reset_after=False), partial(reference.conv_gru, reset_after=False),
    ),
    "conv_gru_norm": (
        lj.conv_gru(3, (2, 3), norm="layer"), partial(reference.conv_gru, norm=True),
    ),
    "conv_gru_reset_before_norm": (
        lj.conv_gru(3, (2, 3), reset_after=False, norm="layer"),
        partial(reference.conv_gru, reset_after=False, norm=True),
    ),
    "multidimensional": (lj.multidimensional(3, 4), reference.multidimensional),
    "multidimensional_reversed": (
        lj.multidimensional(2, 3, peephole=True, reverse_rows=True),
        partial(reference.multidimensional, reverse_rows=True),
    ),
}  # fmt: skip


def example(cell, dtype=jnp.float64):
    params = draw(cell.init(jax.random.key(0), D, dtype), 1, dtype)
    xs = draw(jnp.zeros((T, B, *cell.grid.inputs, D)), 2, dtype)
    return params, xs, draw(cell.initial_state(params, (B,)), 3, dtype)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", CELLS)
def test_outputs_and_states_equal_numpy(name):
    cell, function = CELLS[name]
    params, xs, state = example(cell)
    masks = {"lengths": LENGTHS, "resets": RESETS}
    expected = function(params, xs, *state, **masks)
    final, ys = lj.unroll(cell, params, xs, state, **masks)
    close((final._asdict(), ys), expected)
    assert ys.shape[2:] == (*cell.grid.outputs, cell.size)


def test_gated_cells_of_images_run_deferred():
    cell = lj.conv_lstm(2, (4, 3))
    params, xs, _ = example(cell, jnp.float32)
    assert "deferred" in lj.explain(cell, params, xs)
    with pytest.raises(ValueError, match=r"^method: expected product 'apart' or 'hoisted'"):
        lj.unroll(cell, params, xs, method=lj.Deferred(product="joined"))


def test_stream_takes_images():
    cell = lj.conv_lstm(2, (4, 3))
    params, xs, _ = example(cell, jnp.float32)
    stream = lj.stream(cell, params, (B,))
    ys = jnp.stack([stream(x) for x in xs])
    close(ys, lj.unroll(cell, params, xs)[1], 1e-5)
    with pytest.raises(ValueError, match=r"^x: expected \[\*batch, 4, 3, D\]"):
        stream(xs[0][:, :2])


def test_the_four_directions_see_the_whole_image():
    size, width = 2, 3
    layers = [
        lj.bidirectional(*(lj.multidimensional(size, width, reverse_rows=side) for _ in range(2)))
        for side in (False, True)
    ]
    xs = jax.random.normal(jax.random.key(1), (T, width, D))

    def corner_sum(xs, place):
        keys = jax.random.split(jax.random.key(0))
        outs = [
            lj.unroll(layer, layer.init(key, D), xs)[1]
            for layer, key in zip(layers, keys, strict=True)
        ]
        return jnp.concatenate(outs, axis=-1)[place].sum()

    for place in ((0, 0), (0, -1), (-1, 0), (-1, -1), (1, 1)):
        assert np.all(jax.jit(jax.grad(corner_sum), static_argnums=1)(xs, place) != 0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: lj.conv_lstm(2, (4, 4), 2), "kernel: expected odd sizes with padding='same'"),
        (
            lambda: lj.conv_gru(2, (4, 4), 2, padding="valid"),
            "recurrent_kernel: expected odd sizes beside the even kernel 2, got None",
        ),
        (
            lambda: lj.conv_gru(2, (4, 4), recurrent_kernel=(3, 4)),
            r"recurrent_kernel: expected odd sizes, .*, got \(3, 4\)",
        ),
        (
            lambda: lj.conv_lstm(2, (4, 4), (3, 3, 3)),
            r"kernel: expected one size, or 2, one per axis, got \(3, 3, 3\)",
        ),
        (lambda: lj.conv_lstm(2, (2,) * 4), "shape: expected 1, 2 or 3 spatial axes, got 4"),
        (lambda: lj.conv_lstm(2, ()), "shape: expected 1, 2 or 3 spatial axes, got 0"),
        (lambda: lj.conv_lstm(2, (4, 0)), "shape: expected a positive integer, got 0"),
        (
            lambda: lj.conv_lstm(2, (4, 2), 3, padding="valid"),
            "shape: expected at least the places of the kernel",
        ),
        (lambda: lj.conv_lstm(2, 4, padding="full"), "padding: expected one of same, valid"),
        (lambda: lj.conv_lstm(2, 4, norm="batch"), "norm: expected one of layer"),
        (lambda: lj.multidimensional(2, 0), "width: expected a positive integer, got 0"),
        (
            lambda: lj.chain(lj.conv_lstm(2, (4, 4), stride=2), lj.conv_lstm(2, (4, 4))),
            r"cells\[1\]: expected a cell of inputs \[\*batch, 2, 2, D\]",
        ),
        (
            lambda: lj.chain(lj.conv_lstm(2, (4, 4)), lj.lstm(3)),
            r"cells\[1\]: expected a cell of inputs \[\*batch, 4, 4, D\]",
        ),
        (
            lambda: lj.residual(lj.conv_lstm(2, (4, 4), stride=2)),
            "cell: expected a cell whose output has the shape of its input",
        ),
        (
            lambda: lj.bidirectional(lj.conv_lstm(2, 4), lj.conv_lstm(2, 5)),
            r"backward: expected a cell of inputs \[\*batch, 4, D\]",
        ),
        (
            lambda: lj.attentive(lj.conv_lstm(2, 4), np.ones((3, 2), np.float32)),
            "cell: expected a cell whose inputs are vectors",
        ),
    ],
)
def test_wrong_options_are_errors(make, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        make()


def test_images_that_do_not_fit_are_errors():
    cell = lj.conv_lstm(2, (4, 3))
    params = cell.init(jax.random.key(0), D)
    state = cell.initial_state(params, (B,))
    with pytest.raises(ValueError, match=r"^xs: expected input size 2"):
        lj.unroll(cell, params, jnp.ones((T, B, 4, 3, D + 1)))
    with pytest.raises(ValueError, match=r"^xs: expected \[T, \*batch, 4, 3, D\]"):
        lj.unroll(cell, params, jnp.ones((T, B, 3, 4, D)))
    with pytest.raises(ValueError, match=r"^xs: expected \[T, \*batch, 4, 3, D\]"):
        lj.unroll(cell, params, jnp.ones((T, B, D)))
    with pytest.raises(ValueError, match=r"^x: expected \[\*batch, 4, 3, D\]"):
        cell.step(params, state, jnp.ones((B, D)))
    with pytest.raises(ValueError, match=r"^x: expected input size 2"):
        cell.step(params, state, jnp.ones((B, 4, 3, 1)))

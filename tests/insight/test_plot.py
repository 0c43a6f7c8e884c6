"""``lj.insight.plot``: what is drawn are the values that were given."""

import subprocess
import sys

import jax
import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.colors import to_rgba

import lstm_jax as lj
from lstm_jax.insight.plot.axes import COLOURS, PADDING

plot = lj.insight.plot


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def run():
    cell = lj.lstm(4)
    params = cell.init(jax.random.key(0), 3)
    xs = jax.random.normal(jax.random.key(1), (6, 2, 3))
    return lj.trace(cell, params, xs, lengths=np.array([6, 4]))


def map_axes(figure):
    """The axes of the heat maps by their titles; those of colour bars have none."""
    return {ax.get_title(loc="left"): ax for ax in figure.axes if ax.get_title(loc="left")}


def test_trace_draws_gates_and_states(run):
    figure = plot.trace(run, "abcdef", row=(1,))
    axes = map_axes(figure)
    assert set(axes) == {"input", "forget", "cell", "output", "h", "c"}
    for name, values in {**run.gates, **run.states._asdict()}.items():
        shown = axes[name].images[0].get_array()
        np.testing.assert_allclose(shown[:, :4], np.asarray(values)[:4, 1].T, rtol=1e-6)
        assert np.all(shown.mask[:, 4:]) and not np.any(np.ma.getmaskarray(shown)[:, :4])
    assert axes["forget"].images[0].get_clim() == (-1.0, 1.0)
    largest = float(np.abs(run.states.c[:4, 1]).max())
    assert axes["c"].images[0].get_clim() == pytest.approx((-largest, largest))
    figure.canvas.draw()
    assert [label.get_text() for label in axes["c"].get_xticklabels()] == list("abcdef")
    assert to_rgba(PADDING) == axes["c"].images[0].get_cmap()(np.ma.masked)


def test_trace_of_chosen_units_and_names(run):
    figure = plt.figure()
    given = plot.trace(run.row(0), names=("c", "forget"), units=[3, 1], figure=figure)
    assert given is figure and list(map_axes(figure)) == ["c", "forget"]
    shown = map_axes(figure)["c"].images[0].get_array()
    np.testing.assert_allclose(shown, np.asarray(run.states.c)[:, 0, [3, 1]].T, rtol=1e-6)
    labels = [label.get_text() for label in map_axes(figure)["c"].get_yticklabels()]
    assert labels == ["3", "1"]


def test_trace_of_a_chain_and_of_a_matrix_memory():
    cell = lj.chain(lj.gru(2), lj.mlstm(4))
    params = cell.init(jax.random.key(0), 3)
    trace = lj.trace(cell, params, np.ones((5, 3), np.float32))
    axes = map_axes(plot.trace(trace))
    assert {"0/reset", "0/h", "1/query"} <= set(axes) and "1/c" not in axes
    shown = map_axes(plot.trace(trace, names=["1/c"]))["1/c"].images[0].get_array()
    np.testing.assert_allclose(shown[:, 2], np.asarray(trace.parts["1"].states.c[2]).ravel())


def test_tokens_are_text_and_never_formulas(run):
    tokens = ["$x^2", "$", "a\nb", "\n", " ", 7]
    figure = plot.trace(run, tokens, row=0)
    figure.canvas.draw()  # an unbalanced formula would raise an error
    labels = map_axes(figure)["c"].get_xticklabels()
    assert [label.get_text() for label in labels] == ["$x^2", "$", "a↵b", "↵", "␣", "7"]
    ax = plot.attribution_text(np.arange(6.0), tokens)
    ax.figure.canvas.draw()
    assert [text.get_text() for text in ax.texts] == ["$x^2", "$", "a↵b", "↵", "␣", "7"]


def test_many_tokens_are_written_here_and_there():
    cell = lj.rnn(2)
    trace = lj.trace(cell, cell.init(jax.random.key(0), 1), np.ones((150, 1), np.float32))
    ax = map_axes(plot.trace(trace, range(150)))["h"]
    labels = [label.get_text() for label in ax.get_xticklabels()]
    assert labels == [str(i) for i in range(0, 150, 3)]


def test_gradient_norms():
    norms = {"a": np.array([1e-3, 0.1, 1.0]), "b": np.array([0.0, 2.0, 3.0])}
    ax = plot.gradient_norms(norms)
    a, b = ax.lines
    np.testing.assert_array_equal(a.get_xdata(), [0, 1, 2])
    np.testing.assert_array_equal(a.get_ydata(), norms["a"])
    np.testing.assert_array_equal(b.get_ydata(), [np.nan, 2.0, 3.0])  # zero has no logarithm
    assert ax.get_yscale() == "log"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b"]
    _, own = plt.subplots()
    assert plot.gradient_norms(norms["a"], against="lag", ax=own) is own
    np.testing.assert_array_equal(own.lines[0].get_xdata(), [2, 1, 0])
    assert own.get_legend() is None


def test_memory_curve():
    ax = plot.memory_curve([1.0, 0.5, 0.25])
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), [1, 2, 3])
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), [1.0, 0.5, 0.25])
    assert ax.get_legend().get_texts()[0].get_text() == "capacity 1.8"
    ax = plot.memory_curve({"gru": [1.0, 0.5]}, lags=[0, 5])
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), [0, 5])


def test_attribution_text():
    values = np.array([-2.0, 0.0, 1.0, 2.0])
    ax = plot.attribution_text(values, ["a", "b", "c", "d"])
    colours = matplotlib.colormaps[COLOURS]
    for text, value in zip(ax.texts, values, strict=True):
        assert text.get_bbox_patch().get_facecolor() == pytest.approx(colours((value + 2) / 4))
    places = [text.get_position()[0] for text in ax.texts]
    assert places == sorted(places)
    full = plot.attribution_text(values, "abcd", limit=1.0)
    assert full.texts[2].get_bbox_patch().get_facecolor() == pytest.approx(colours(1.0))


def test_the_tokens_of_a_long_text_do_not_overlap():
    tokens = [f"word{'x' * (i % 7)}" for i in range(80)]
    ax = plot.attribution_text(np.zeros(80), tokens)
    ax.figure.canvas.draw()
    boxes = [text.get_bbox_patch().get_window_extent() for text in ax.texts]
    whole = ax.figure.bbox
    assert len({text.get_position()[1] for text in ax.texts}) > 3
    for i, a in enumerate(boxes):
        assert whole.x0 <= a.x0 and a.x1 <= whole.x1 and whole.y0 <= a.y0 and a.y1 <= whole.y1
        assert not any(a.overlaps(b) for b in boxes[:i])


def test_attribution_series():
    xs, values = np.arange(6.0).reshape(3, 2), np.arange(6.0).reshape(3, 2) - 3
    ax = plot.attribution_series(values, xs, names=["x", "y"])
    for i, (line, points) in enumerate(zip(ax.lines, ax.collections, strict=True)):
        np.testing.assert_array_equal(line.get_ydata(), xs[:, i])
        np.testing.assert_array_equal(points.get_array(), values[:, i])
        assert points.norm.vmin == -3.0 and points.norm.vmax == 3.0
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["x", "y"]
    assert len(plot.attribution_series(values[:, 0], xs[:, 0]).lines) == 1


def test_fixed_points_keep_their_distances_in_a_plane():
    rng = np.random.default_rng(0)
    flat = rng.normal(size=(6, 2)) * [3.0, 1.0]
    basis = np.linalg.qr(rng.normal(size=(5, 2)))[0]
    states, stable = flat @ basis.T + 2.0, np.array([True, False, True, True, False, True])
    ax = plot.fixed_points(states, stable, [states[:2], states[2:]])
    steady, unsteady = (np.asarray(points.get_offsets()) for points in ax.collections)
    for drawn, chosen in ((steady, states[stable]), (unsteady, states[~stable])):
        between = np.linalg.norm(drawn[:, None] - drawn[None], axis=-1)
        expected = np.linalg.norm(chosen[:, None] - chosen[None], axis=-1)
        np.testing.assert_allclose(between, expected, atol=1e-9)
    np.testing.assert_allclose(ax.lines[0].get_xydata()[0], steady[0], atol=1e-9)
    assert np.var(np.concatenate([steady, unsteady])[:, 0]) > np.var(
        np.concatenate([steady, unsteady])[:, 1]
    )
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["stable (4)", "unstable (2)"]


def test_few_fixed_points_and_one_unit():
    assert plot.fixed_points([[1.0]], [True], [[[0.0], [1.0]]]).lines
    plot.fixed_points(np.zeros((0, 3)), np.zeros(0, bool), [np.eye(3)])


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda run: plot.trace(3), TypeError, "trace: expected a trace"),
        (lambda run: plot.trace(run, row=5), ValueError, "row: expected a whole number"),
        (lambda run: plot.trace(run, "abc", row=0), ValueError, "tokens: expected 6, one per step"),
        (lambda run: plot.trace(run, row=0, names=["z"]), ValueError, "names: expected"),
        (lambda run: plot.trace(run, row=0, names="c"), TypeError, "names: expected a tuple"),
        (lambda run: plot.trace(run, row=0, names=()), ValueError, "names: expected one name"),
        (lambda run: plot.trace(run, row=0, units=[4]), ValueError, "units: expected a whole"),
        (lambda run: plot.gradient_norms([[1.0]]), ValueError, "norms: expected an array with 1"),
        (lambda run: plot.gradient_norms("no"), TypeError, "norms: expected numbers"),
        (lambda run: plot.gradient_norms([1.0], against="x"), ValueError, "against: expected"),
        (lambda run: plot.memory_curve([1.0], lags=[1, 2]), ValueError, "lags: expected 1"),
        (lambda run: plot.attribution_text([1.0], "ab"), ValueError, "tokens: expected 1, one per"),
        (lambda run: plot.attribution_text([1.0], "a", limit=0.0), ValueError, "limit: expected"),
        (lambda run: plot.attribution_series([1.0], [1.0, 2.0]), ValueError, "values: expected"),
        (lambda run: plot.attribution_series([1.0], [1.0], names="ab"), ValueError, "names"),
        (lambda run: plot.fixed_points(np.eye(2), [1, 0]), ValueError, "stable: expected 2"),
        (lambda run: plot.fixed_points(np.eye(2), [True, False], [np.eye(3)]), ValueError,
         "trajectories.0.: expected states of size 2"),
        (lambda run: plot.fixed_points(np.zeros((0, 2)), np.zeros(0, bool)), ValueError,
         "states: expected a point or a trajectory"),
    ],
)  # fmt: skip
def test_wrong_arguments(call, error, text, run):
    with pytest.raises(error, match=text):
        call(run)
    assert not plt.get_fignums()  # wrong arguments leave no figure behind


def test_without_matplotlib_the_error_names_the_extra():
    code = (
        "import sys; sys.modules['matplotlib'] = None; import lstm_jax as lj\n"
        "try: lj.insight.plot.memory_curve([1.0])\n"
        "except ModuleNotFoundError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'pip install "lstm_jax[experiments]"' in done.stdout


def test_matplotlib_is_not_imported_with_the_library():
    code = "import sys, lstm_jax.insight.plot; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"

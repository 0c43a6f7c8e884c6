"""What the experiment inside measures, on nets whose answers are known by hand."""

import json
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from experiments.__main__ import main
from experiments.harness.report import report
from experiments.insight import _adding, _bits, _nets, _reber, inside
from experiments.insight._nets import Net
from lstm_jax import tasks
from lstm_jax.insight import Attribution

GAIN = 5.0  # tanh(5 h) has fixed points near -1, 0 and 1


@pytest.fixture(scope="module")
def three_switches():
    """A tanh RNN that holds three bits: each unit has its own two stable points and the saddle 0
    between them, so that there are 3^3 fixed points."""
    cell = lj.rnn(3)
    shapes = jax.eval_shape(lambda: cell.init(jax.random.key(0), 3))
    params = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), shapes)
    params = {**params, "w_h": GAIN * jnp.eye(3), "w_x": 20.0 * jnp.eye(3)}
    return Net(cell, params, {"w": jnp.eye(3), "b": jnp.zeros(3)})


@pytest.mark.slow
def test_the_points_of_three_switches_are_counted(three_switches):
    xs = tasks.make("n_bit_flip_flop(length=10)").test.xs[:, :40]
    starts = jnp.asarray([[a, b, c] for a in (-1, 0, 1) for b in (-1, 0, 1) for c in (-1, 0, 1)])
    example = lj.trace(three_switches.cell, three_switches.params, xs).last
    states = jax.tree.map(lambda _: starts + 0.01, example)
    points = lj.insight.fixed_points(
        three_switches.cell, three_switches.params, jnp.zeros(3), states, steps=0
    )
    ((_, row),) = _bits.count_points(three_switches, points, jnp.zeros(3)).items()
    assert list(row.values()) == [8, 8, 12, 12, 12, 7, 0, 0]


def test_points_without_saddles_have_no_sides(three_switches):
    points = types.SimpleNamespace(stable=np.array([True]), unstable=np.array([0]))
    assert _bits.sides_of(three_switches, points, np.array([], int), jnp.zeros(3)) == []


def test_the_largest_steps_are_those_of_the_truth():
    sizes = np.array([[3.0, 1.0, 2.0], [1.0, 1.0, 2.0], [2.0, 0.5, 1.0]])
    truth = np.array([[True, True, True], [False, False, False], [True, True, True]])
    np.testing.assert_array_equal(_nets.are_the_largest(truth, sizes), [True, False, False])


def test_attributions_are_compared_with_the_marks():
    xs = jnp.asarray([[[0.3, 0.0], [0.2, 1.0]], [[0.9, 1.0], [0.4, 0.0]], [[0.5, 1.0], [0.1, 1.0]]])
    values = jnp.asarray(  # of the second row, the inputs of the first step cancel
        [[[0.0, 0.0], [-0.5, 0.5]], [[1.0, 0.1], [0.0, 0.2]], [[0.5, 0.0], [0.6, 0.0]]]
    )
    found = dict.fromkeys(_nets.METHODS, Attribution(values, jnp.ones(2)))
    sizes, totals = _adding.compare_with_marks(found, xs).values()
    assert list(sizes) == list(_nets.METHODS)
    assert set(sizes.values()) == {1.0} and set(totals.values()) == {0.5}


def test_attributions_are_compared_with_the_branch():
    values = jnp.asarray([[0.0, 1.0, 0.0], [4.0, 3.0, 1.0], [-2.0, 4.0, -3.0], [0.0, 0.0, 0.0]])
    answers, change = jnp.asarray([2.0, -2.0, -3.0]), jnp.asarray([3.0, -4.0, -2.0])
    found = dict.fromkeys(_nets.METHODS, Attribution(values[..., None], answers, change))
    differs, same = _reber.compare_with_branch(found, np.ones((4, 3), bool)).values()
    assert list(differs.values()) == 4 * [0.5]  # the first row of the first two
    assert list(same.values()) == 4 * [0.0]  # the third, which a string without symbols answers


def test_the_branch_is_exchanged_and_nothing_else():
    xs = tasks.make("embedded_reber").test.xs.values[:, :20]
    other = _reber.exchange_branch(xs)
    symbols, changed = (np.argmax(batch[1], axis=-1).tolist() for batch in (xs, other))
    assert set(zip(symbols, changed, strict=True)) == {(1, 2), (2, 1)}
    np.testing.assert_array_equal(other[0], xs[0])
    np.testing.assert_array_equal(other[2:], xs[2:])


@pytest.mark.slow
def test_all_four_methods_explain_the_same_answer():
    task = tasks.make("adding(length=5)")
    xs, cell = task.test.xs[:, :3], lj.gru(4)
    params = cell.init(jax.random.key(0), 2)
    readout = {"w": jax.random.normal(jax.random.key(1), (4, 1)), "b": jnp.ones(1)}
    net = Net(cell, params, readout)
    source = types.SimpleNamespace(make_cell=lambda: cell)
    job = types.SimpleNamespace(model=types.SimpleNamespace(source=source))
    baseline = _adding.average_input(5)
    found = _nets.attributor(job, _adding.answer, xs, None, baseline)(net)
    assert list(found) == sorted([*_nets.METHODS, _nets.CONSERVED])
    expected = net.read(net.trace(xs).outputs)[-1, :, 0]
    for attribution in found.values():
        np.testing.assert_allclose(attribution.output, expected, rtol=1e-5)
        assert attribution.values.shape == xs.shape
    (row,) = _nets.sums(found).values()
    assert row["integrated gradients, worst row"] < 1e-4
    assert row["LRP, all conserved, worst row"] < 1e-4 < row[
        "LRP, biases keep their share, median row"
    ]  # fmt: skip
    without = xs.at[2, :, 1].set(baseline[1])
    changed = expected - net.read(net.trace(without).outputs)[-1, :, 0]
    np.testing.assert_allclose(found["occlusion"].values[2, :, 1], changed, atol=1e-5)


def test_a_run_that_diverged_has_no_numbers():
    cell = lj.gru(2)
    one = {"cell": cell.init(jax.random.key(0), 1), "readout": {"w": jnp.ones((2, 1))}}
    params = jax.tree.map(lambda leaf: jnp.stack([jnp.full_like(leaf, jnp.nan), leaf]), one)
    source = types.SimpleNamespace(make_cell=lambda: cell)
    job = types.SimpleNamespace(model=types.SimpleNamespace(source=source), seeds=(0, 1))
    seen = []

    def read(net, drawn):
        seen.append(drawn)
        return {"title": {"column": 2.0}}

    assert _nets.read_runs(job, params, read) == {"title": {"column": [None, 2.0]}}
    assert seen == [True]  # the figures are those of the first run that has numbers


def test_the_probes_find_what_they_are_asked_for():
    xs = tasks.make("adding(length=8)").test.xs[:, :60]
    total = jnp.cumsum(xs[..., 0] * xs[..., 1], axis=0)[..., None]
    seen = jnp.cumsum(xs[..., 1], axis=0)[..., None]
    ((_, row),) = _adding.probe(jnp.concatenate([total, seen], axis=-1), xs).items()
    known, shuffled, right, by_chance = row.values()
    assert known > 0.999 and right > 0.99 and shuffled < 0.1 and by_chance < 0.7


def test_the_settings_are_the_tasks_that_are_asked_for():
    config = inside.Config(tasks=("n_bit_flip_flop", "adding"))
    first, second = inside.settings(config)
    assert first.task.name.startswith("n_bit_flip_flop(64") and first.budget.size == 16
    assert second.task.name == "adding(40)" and second.budget.size == 24
    assert {"length", "probability", "rows", "starts"} <= config.options.keys()
    with pytest.raises(lj.WrongValue, match="tasks: expected one of adding, embedded_reber"):
        inside.settings(inside.Config(tasks=("parity",)))
    with pytest.raises(lj.WrongValue, match="rows: expected"):
        inside.settings(inside.Config(rows=0))


def test_tables_show_counts_as_counts_and_medians_with_intervals():
    rows = {"lstm": {"stable": [8.0, 8.0, 6.0], "saddles": [12.0, 10.0, 11.0]}}
    assert report.make_further_table(rows)[1] == [["lstm", "8 [6, 8]", "11 [10, 12]"]]
    shares = {"lstm": {"a": [0.5, 0.25, 1.0], "b": [1.0, None, 1.0], "c": [0.5, 0.5, 0.5]}}
    assert report.make_further_table(shares)[1] == [
        ["lstm", "0.5000 [0.2500, 1.0000]", "diverged", "0.5000"]
    ]
    assert report.make_further_table({"lstm": {"a": [1.0, 0.5]}})[1] == [["lstm", "0.7500"]]


@pytest.mark.slow
def test_the_command_trains_reads_and_reports(tmp_path):
    options = "--seeds 2 --steps 20 --every 10 --length 8 --rows 24 --starts 8 --size 4"
    assert main(["inside", *options.split(), "--flip-flop-size", "4", "--out", str(tmp_path)]) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    assert [setting["task"].partition("(")[0] for setting in results["settings"]] == [
        "adding", "embedded_reber", "n_bit_flip_flop",
    ]  # fmt: skip
    for setting in results["settings"]:
        assert len(setting["figures"]) == 4  # two for each cell
        assert all((tmp_path / file).stat().st_size > 1000 for file in setting["figures"].values())
        for rows in setting["further"].values():
            assert set(rows) == {"lstm", "gru"}
            values = [value for scores in rows.values() for row in scores.values() for value in row]
            assert len(values) % 4 == 0 and None not in values
    text = (tmp_path / "report.md").read_text()
    assert "Fixed points without input" in text and "LRP" in text

"""Which run, which sequence and which symbols the figures of traces show."""

import types

import numpy as np

from experiments.harness.report import traces
from experiments.harness.run.jobs import make_job
from experiments.harness.run.setting import Budget, Setting
from lstm_jax import tasks
from lstm_jax.tasks import Sequences


def job(task, rates=(0.1, 0.2)):
    setting = Setting(tasks.make(task), Budget(parameters=100))
    pairs = [(seed, rate) for rate in rates for seed in (0, 1)]
    return make_job(setting, "rnn", *map(tuple, zip(*pairs, strict=True)))


def test_the_run_is_the_best_one_at_the_rate_that_is_reported():
    solved = [None] * 4
    accuracy = {"validation": [0.9, 0.1, 0.6, 0.7], "solved": solved}  # 0.2 is better in the mean
    assert traces.best_run(job("delayed_recall(delay=3)"), accuracy) == 3
    error = {"validation": [0.4, 0.3, 0.9, 0.1], "solved": solved}  # the mean decides for 0.1
    assert traces.best_run(job("adding(length=4)"), error) == 1
    diverged = {"validation": [0.4, 0.5, None, 0.1], "solved": solved}
    assert traces.best_run(job("adding(length=4)"), diverged) == 0


def test_the_sequence_is_the_first_without_its_padding():
    values = np.arange(24.0).reshape(4, 3, 2)
    np.testing.assert_array_equal(traces.first_sequence(values), values[:, 0])
    rows = Sequences(values, np.array([3, 4, 1]))
    np.testing.assert_array_equal(traces.first_sequence(rows), values[:3, 0])


def test_symbols_are_named_as_in_the_pictures_of_the_task():
    assert traces.name_inputs("flip_flop(8)", np.eye(5)[[0, 4, 1, 3]]) == list("w1r0")
    assert traces.name_inputs("delayed_recall(9, symbols=8)", np.eye(9)[[8, 0]]) == ["8", "0"]
    assert traces.name_inputs("mine", np.eye(12)[[11]]) == ["11"]
    assert traces.name_inputs("adding(4)", np.array([[0.3, 1.0], [0.2, 0.0]])) is None
    assert traces.name_inputs("digits", np.ones((4, 1))) is None


def test_a_model_that_is_no_cell_with_a_readout_has_no_figure(tmp_path):
    other = types.SimpleNamespace(model=types.SimpleNamespace(source=None))
    assert traces.draw_traces([other], [{}], tmp_path) == {}

"""Attribution against the truth: on the adding problem, two marked steps make the answer."""

import jax
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax import tasks, train

STEPS, ROWS = 30, 500
BASELINE = np.array([0.5, 0.0], np.float32)  # the average value, not marked


@pytest.fixture(scope="module")
def trained():
    """The cell, its params, inputs, marks and the output to explain, of an LSTM that can add."""
    task, cell = tasks.make("adding", length=STEPS), lj.lstm(32)
    model = train.recurrent(cell, 2, 1)
    steps = 2500
    optimizer = train.optimizer("adam", 0.01, clip=1.0, schedule="cosine", warmup=50, steps=steps)
    state, measured = jax.jit(
        lambda state: train.take_steps(
            model, task, optimizer, state, jax.random.key(1), steps=steps, batch_size=64
        )
    )(train.start(model, optimizer, jax.random.key(0)))
    assert measured.loss[-50:].mean() < 1e-3
    xs = task.sample(jax.random.key(2), ROWS).xs
    w, b = state.params["readout"]["w"], state.params["readout"]["b"]
    return (
        cell,
        state.params["cell"],
        xs,
        np.asarray(xs[..., 1]) > 0,
        lambda ys: (ys[-1] @ w + b)[:, 0],
    )


def rows_found(sizes, marks):
    """The share of rows whose two largest steps are the marked ones."""
    largest = np.argsort(-np.asarray(sizes), axis=0)[:2]
    return np.mean(np.take_along_axis(marks, largest, axis=0).all(axis=0))


def share_of_marked(sizes, marks):
    sizes = np.asarray(sizes)
    return np.mean((sizes * marks).sum(axis=0) / sizes.sum(axis=0))


@pytest.mark.slow
def test_integrated_gradients_find_the_marked_steps(trained):
    *run, marks, output = trained
    shares = lj.insight.integrated_gradients(*run, output, baseline=BASELINE)
    assert rows_found(shares.size_of_steps, marks) >= 0.99
    assert share_of_marked(shares.size_of_steps, marks) > 0.9
    assert shares.relative_gap.max() < 0.01


@pytest.mark.slow
def test_occlusion_finds_the_marked_steps(trained):
    *run, marks, output = trained
    shares = lj.insight.occlusion(*run, output, baseline=BASELINE, each="input")
    assert rows_found(shares.size_of_steps, marks) >= 0.99
    assert share_of_marked(shares.size_of_steps, marks) > 0.9
    steps = lj.insight.occlusion(*run, output, baseline=BASELINE)
    assert rows_found(steps.size_of_steps, marks) >= 0.95  # some values hardly differ from the mean


@pytest.mark.slow
def test_gradient_times_input_and_relevance(trained):
    """Relevance finds the steps, but puts a third or more of it elsewhere."""
    *run, marks, output = trained
    shares = lj.insight.gradient_times_input(*run, output)
    assert share_of_marked(shares.size_of_steps, marks) > 0.9
    relevance = lj.insight.relevance(*run, output)
    assert rows_found(relevance.size_of_steps, marks) > 0.9
    assert share_of_marked(relevance.size_of_steps, marks) > 0.4  # of all steps, 2 / 30 are marked
    assert lj.insight.relevance(*run, output, bias_factor=1.0).gap.max() < 1e-4

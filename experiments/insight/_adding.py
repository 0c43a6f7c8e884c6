"""Adding: the two marked steps are the truth."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness.run.jobs import Job
from experiments.harness.run.setting import FurtherResults
from experiments.insight import _nets
from experiments.insight._nets import Net, Tables

FIGURES = ["trace.png", "attributions.png"]


def read(rows: int, job: Job, params: Any, folder: Path) -> FurtherResults:
    """What the trained nets keep of ``rows`` test sequences, and what their answers rest on."""
    xs = job.setting.task.test.xs[:, :rows]
    attribute = _nets.attributor(job, answer, xs, None, average_input(len(xs)))

    def read_net(net: Net, with_figures: bool) -> Tables:
        trace = net.trace(xs)
        attributions = attribute(net)
        if with_figures:
            draw(net, trace, attributions, xs[:, 0], folder)
        return {
            **compare_with_marks(attributions, xs),
            **_nets.sums(attributions),
            **probe(_nets.states_of(trace), xs),
            **_nets.describe_time_scales(net, trace),
        }

    return FurtherResults(_nets.read_runs(job, params, read_net), [], FIGURES)


def answer(outputs: jax.Array) -> jax.Array:
    """The answer of each row, ``[B]``, from the outputs ``[T, B, 1]``."""
    return outputs[-1, :, 0]


def average_input(length: int) -> jax.Array:
    """The mean input over rows and steps: it says nothing of a value, and nothing of a mark."""
    return jnp.array([0.5, 2 / length])


def compare_with_marks(attributions: dict[str, Any], xs: Any) -> Tables:
    """The share of rows whose two marked steps have the two largest attributions."""
    marked = np.asarray(xs[..., 1]) == 1
    sizes, totals = {}, {}
    for name in _nets.METHODS:
        attribution = attributions[name]
        of_sum = np.abs(np.asarray(attribution.of_steps))
        of_inputs = np.asarray(attribution.size_of_steps)
        sizes[name] = np.mean(_nets.are_the_largest(marked, of_inputs))
        totals[name] = np.mean(_nets.are_the_largest(marked, of_sum))
    title = "Rows in which the two marked steps have the two largest attributions"
    return {
        f"{title} (sum of the sizes of value and mark)": sizes,
        f"{title} (size of the sum of value and mark)": totals,
    }


def probe(states: jax.Array, xs: jax.Array) -> Tables:
    """What a linear readout of the state knows at every step."""
    values, marks = np.asarray(xs[..., 0]), np.asarray(xs[..., 1])
    total, shuffled = _nets.probe(states, np.cumsum(values * marks, axis=0), "regression")
    seen = np.cumsum(marks, axis=0).astype(int)
    right, shuffled_seen = _nets.probe(states, seen, "classification")
    row = {
        "sum of the marked values so far, R²": total,
        "R² of shuffled labels": shuffled,
        "marks seen so far, accuracy": right,
        "accuracy of shuffled labels": shuffled_seen,
    }
    return {"Linear probes of the state at every step, on held-out rows": row}


def draw(net: Net, trace: Any, attributions: dict[str, Any], xs: jax.Array, folder: Path) -> None:
    values, marks = np.asarray(xs[:, 0]), np.asarray(xs[:, 1])
    tokens = [f"{value:.2f}" if mark else "·" for value, mark in zip(values, marks, strict=True)]
    _nets.draw_trace(net, trace.row(0), tokens, folder / "trace.png")
    _nets.draw_attributions(
        attributions, len(tokens), tokens, marks == 1, folder / "attributions.png"
    )

"""Trained nets one by one, what all tasks ask of them, and figures."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import lstm_jax as lj
from experiments.harness.report.style import save_figure
from experiments.harness.run.jobs import Job
from experiments.harness.run.setting import Scores

INTEGRAL_STEPS = 64
PROBE_ROWS = 64  # a classification of the steps of all rows takes minutes
PROBE_SPLITS = 5
METHODS = ("gradient × input", "integrated gradients", "occlusion", "LRP")
CONSERVED = "LRP, bias_factor 1"

Tables = dict[str, dict[str, float]]  # the numbers of one net, by title and column


class Net(NamedTuple):
    """A trained cell and its readout."""

    cell: Any
    params: Any
    readout: Any

    def read(self, ys: jax.Array) -> jax.Array:
        """The outputs ``[..., O]`` for the cell's outputs ``[..., H]``."""
        return ys @ self.readout["w"] + self.readout["b"]

    def trace(self, xs: Any, lengths: Any = None) -> lj.Trace:
        return lj.trace(self.cell, self.params, xs, lengths=lengths)


def read_runs(job: Job, params: Any, read: Callable[[Net, bool], Tables]) -> dict[str, Scores]:
    """The tables of all runs; a run that diverged has no numbers.

    Args:
        job: The job.
        params: The params of its runs, with a leading axis.
        read: Returns the numbers of one net. It is called with whether this is the net of the
            figures, the first that has not diverged.
    """
    cell = job.model.source.make_cell()
    tables: list[Tables | None] = []
    for run in range(len(job.seeds)):
        of_run = jax.tree.map(lambda leaf, run=run: np.asarray(leaf)[run], params)
        finite = all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(of_run))
        net = Net(cell, of_run["cell"], of_run["readout"])
        tables.append(read(net, not any(tables)) if finite else None)
    titles = next(({title: list(row) for title, row in of.items()} for of in tables if of), {})
    return {
        title: {
            column: [None if of is None else float(of[title][column]) for of in tables]
            for column in columns
        }
        for title, columns in titles.items()
    }


def attributor(
    job: Job,
    read: Callable[[jax.Array], jax.Array],
    xs: jax.Array,
    lengths: Any,
    baseline: jax.Array,
) -> Callable[[Net], dict[str, lj.insight.Attribution]]:
    """A function that attributes the answers of a net by each of ``METHODS``, and by LRP with all
    relevance conserved; it is compiled once for all runs.

    Args:
        job: The job.
        read: ``(outputs [T, B, O]) -> [B]``, what is explained.
        xs: The inputs, ``[T, B, D]``.
        lengths: The number of steps of each row, or None.
        baseline: The input that carries no information, ``[D]``.
    """
    cell, insight = job.model.source.make_cell(), lj.insight

    @jax.jit
    def attribute(params: Any, readout: Any) -> dict[str, lj.insight.Attribution]:
        net = Net(cell, params, readout)
        arguments = cell, params, xs, lambda ys: read(net.read(ys))
        return {
            METHODS[0]: insight.gradient_times_input(*arguments, lengths=lengths),
            METHODS[1]: insight.integrated_gradients(
                *arguments, lengths=lengths, baseline=baseline, steps=INTEGRAL_STEPS
            ),
            METHODS[2]: insight.occlusion(
                *arguments, lengths=lengths, baseline=baseline, each="input"
            ),
            METHODS[3]: insight.relevance(*arguments, lengths=lengths),
            CONSERVED: insight.relevance(*arguments, lengths=lengths, bias_factor=1.0),
        }

    return lambda net: attribute(net.params, net.readout)


def are_the_largest(truth: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Whether the steps of ``truth [T, B]`` are those with the largest of ``sizes``, ``[B]``."""
    largest_other = np.where(truth, -np.inf, sizes).max(axis=0)
    return np.where(truth, sizes, np.inf).min(axis=0) > largest_other


def sums(attributions: dict[str, lj.insight.Attribution]) -> Tables:
    """How far attributions are from the sums that their methods promise."""
    integrated, conserved, lrp = (
        np.asarray(attributions[name].relative_gap) for name in (METHODS[1], CONSERVED, METHODS[3])
    )
    row = {
        "integrated gradients, share of rows below 1 %": np.mean(integrated < 0.01),
        "integrated gradients, median row": np.median(integrated),
        "integrated gradients, worst row": integrated.max(),
        "LRP, all conserved, median row": np.median(conserved),
        "LRP, all conserved, worst row": conserved.max(),
        "LRP, biases keep their share, median row": np.median(lrp),
    }
    return {"What is missing from the sum of the attributions, as a share of that sum": row}


def states_of(trace: lj.Trace) -> jax.Array:
    """The whole state after each step as one vector, ``[T, B, N]``."""
    return jnp.concatenate(jax.tree.leaves(trace.states), axis=-1)


def probe(states: Any, labels: Any, kind: str, mask: Any = None) -> tuple[float, float]:
    """The mean scores of a linear probe and of its control, of shuffled labels, on ``PROBE_ROWS``.

    Args:
        states: ``[T, B, N]``.
        labels: ``[T, B]``.
        kind: "regression" or "classification".
        mask: The steps that count, ``[T, B]``; by default all.
    """
    mask = np.ones(np.shape(labels), bool) if mask is None else mask
    found = lj.insight.probe(
        states[:, :PROBE_ROWS], labels[:, :PROBE_ROWS], kind=kind, mask=mask[:, :PROBE_ROWS],
        key=jax.random.key(0), splits=PROBE_SPLITS,
    )  # fmt: skip
    return found.mean, float(np.mean(found.control))


def describe_time_scales(net: Net, trace: lj.Trace) -> Tables:
    scales = np.asarray(lj.insight.time_scales(net.cell, trace))
    row = {"median unit": np.median(scales), "longest unit": scales.max()}
    return {"Time scales of the gate that keeps, in steps": row}


def draw_trace(net: Net, trace: lj.Trace, tokens: list[str], path: Path) -> None:
    """Draws the gates and the memory of a trace without batch axes."""
    names = [*net.cell.gates, trace.states._fields[-1]]
    figure = Figure(figsize=(min(4 + 0.16 * len(tokens), 12), 1.7 * len(names)), dpi=100,
                    layout="constrained")  # fmt: skip
    lj.insight.plot.trace(trace, tokens, names=names, figure=figure)
    save_figure(figure, path)


def draw_attributions(
    attributions: dict[str, lj.insight.Attribution],
    steps: int,
    tokens: list[str],
    truth: np.ndarray,
    path: Path,
) -> None:
    """Draws how much each step of the first row matters, by each method.

    Args:
        attributions: By method.
        steps: How many steps the row has.
        tokens: What was read at each of them.
        truth: The steps on which the answer rests, ``[T]``; they are drawn in another colour.
        path: The PNG file.
    """
    figure = Figure(figsize=(min(3 + 0.2 * steps, 10), 1.3 * len(METHODS) + 0.5), dpi=100,
                    layout="constrained")  # fmt: skip
    panels = figure.subplots(len(METHODS), 1, sharex=True)
    for panel, name in zip(panels, METHODS, strict=True):
        sizes = np.asarray(attributions[name].size_of_steps)[:steps, 0]
        colours = np.where(truth[:steps], "#D55E00", "#0072B2")
        panel.bar(range(steps), sizes, color=list(colours))
        panel.set_title(name, loc="left", fontsize=10)
        panel.spines[["top", "right"]].set_visible(False)
    upright = max(map(len, tokens)) > 2
    panels[-1].set_xticks(range(steps), tokens[:steps], rotation=90 if upright else 0, fontsize=8)
    figure.supylabel("size of the attribution", fontsize=10)
    save_figure(figure, path)

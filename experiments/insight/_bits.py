"""The 3-bit flip-flop: a stable fixed point for each state of the bits, and saddles between."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import lstm_jax as lj
from experiments.harness.report.style import save_figure
from experiments.harness.run.jobs import Job
from experiments.harness.run.setting import FurtherResults
from experiments.insight import _nets
from experiments.insight._nets import Net, Tables

FIGURES = ["trace.png", "fixed_points.png"]
NOISE = 0.3  # of the starts, in units of the state
PUSH = 1e-2  # from a saddle, in units of the state
SETTLING_STEPS = 5000
TRAJECTORIES = 12
SHOWN_STEPS = 40


def read(rows: int, starts: int, job: Job, params: Any, folder: Path) -> FurtherResults:
    """The fixed points of the trained nets without input, and what their states say."""
    test = job.setting.task.test
    xs, bits = test.xs[:, :rows], np.asarray(test.targets[:, :rows]) > 0

    def read_net(net: Net, with_figures: bool) -> Tables:
        trace = net.trace(xs)
        drawn = lj.insight.starts_from(trace, starts, jax.random.key(0), noise=NOISE)
        x = jnp.zeros(xs.shape[-1])
        points = lj.insight.fixed_points(net.cell, net.params, x, drawn)
        if with_figures:
            draw(net, trace, points, xs, folder)
        return {
            **count_points(net, points, x),
            **probe(_nets.states_of(trace), bits),
            **_nets.describe_time_scales(net, trace),
        }

    return FurtherResults(_nets.read_runs(job, params, read_net), [], FIGURES)


def count_points(net: Net, points: Any, x: jax.Array) -> Tables:
    """How many fixed points there are without input, and what the saddles lie between."""
    stable, unstable = np.asarray(points.stable), np.asarray(points.unstable)
    answers = answers_at(net, points, x)
    saddles = np.flatnonzero(unstable == 1)
    sides = sides_of(net, points, saddles, x)
    known = [(a, b) for a, b in sides if a >= 0 and b >= 0]
    between = [np.sum(answers[a] != answers[b]) for a, b in known]
    row = {
        "stable": stable.sum(),
        "their answers": len(np.unique(answers[stable], axis=0)),
        "saddles with one unstable direction": len(saddles),
        "that lie between two answers": np.sum(np.array(between) > 0),
        "that differ in one bit": np.sum(np.array(between) == 1),
        "with more": np.sum(unstable > 1),
        "slow points": len(points.slow),
        "starts without a point": points.unconverged,
    }
    return {"Fixed points without input": row}


def answers_at(net: Net, points: Any, x: jax.Array) -> np.ndarray:
    """The bits that the net answers at each fixed point, ``[P, bits]``."""
    states = jax.tree.map(jnp.float32, points.states)
    inputs = jnp.broadcast_to(x, (len(points), *x.shape))
    _, ys = net.cell.step(net.params, states, inputs)
    return np.asarray(net.read(ys)) > 0


def sides_of(net: Net, points: Any, saddles: np.ndarray, x: jax.Array) -> list[tuple[int, int]]:
    """For each saddle the stable points that the net comes to from either side of it; -1 for none.

    A push in any direction has a part along the unstable one, which grows; the opposite push leads
    to the other side.
    """
    stable = np.flatnonzero(points.stable)
    if not len(saddles) or not len(stable):
        return []
    centre = jax.tree.map(lambda leaf: jnp.float32(leaf[saddles]), points.states)
    leaves, structure = jax.tree.flatten(centre)
    keys = jax.random.split(jax.random.key(0), len(leaves))
    pushes = [
        PUSH * jax.random.normal(key, leaf.shape) for key, leaf in zip(keys, leaves, strict=True)
    ]
    ends = []
    for sign in (1, -1):
        pushed = [leaf + sign * push for leaf, push in zip(leaves, pushes, strict=True)]
        inputs = jnp.broadcast_to(x, (SETTLING_STEPS, len(saddles), *x.shape))
        last, _ = lj.unroll(net.cell, net.params, inputs, jax.tree.unflatten(structure, pushed))
        vectors = np.concatenate([np.asarray(leaf) for leaf in jax.tree.leaves(last)], axis=-1)
        away = np.linalg.norm(vectors[:, None] - points.vectors[stable], axis=-1)
        nearest = stable[away.argmin(axis=1)]
        ends.append(np.where(away.min(axis=1) < 0.1, nearest, -1))
    return [(int(a), int(b)) for a, b in zip(*ends, strict=True)]


def probe(states: jax.Array, bits: np.ndarray) -> Tables:
    """Whether a linear readout of the state knows each bit, at every step."""
    scores, controls = zip(
        *(_nets.probe(states, bits[..., k], "classification") for k in range(bits.shape[-1])),
        strict=True,
    )
    row = {f"bit {k}": score for k, score in enumerate(scores)}
    row["shuffled labels"] = np.mean(controls)
    return {"Accuracy of linear probes of the state at every step, on held-out rows": row}


def draw(net: Net, trace: Any, points: Any, xs: jax.Array, folder: Path) -> None:
    """Draws the first steps of the first row, and the fixed points with the paths of some rows."""
    shown = xs[:SHOWN_STEPS, :1]
    tokens = [pulses(step) for step in np.asarray(shown[:, 0])]
    _nets.draw_trace(net, net.trace(shown).row(0), tokens, folder / "trace.png")
    figure = Figure(figsize=(6, 5), dpi=100, layout="constrained")
    paths = np.moveaxis(np.asarray(_nets.states_of(trace)), 1, 0)[:TRAJECTORIES]
    lj.insight.plot.fixed_points(points.vectors, points.stable, list(paths), ax=figure.subplots())
    save_figure(figure, folder / "fixed_points.png")


def pulses(step: np.ndarray) -> str:
    """The pulses of a step as text, such as "0+2-"; a dot if there are none."""
    return "".join(f"{bit}{'+' if x > 0 else '-'}" for bit, x in enumerate(step) if x) or "·"

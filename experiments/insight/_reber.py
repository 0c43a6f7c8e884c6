"""The embedded Reber grammar: the branch that was taken at the start is the truth."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness.run.jobs import Job
from experiments.harness.run.setting import FurtherResults
from experiments.insight import _nets
from experiments.insight._nets import Net, Tables
from lstm_jax.tasks.formal.reber import SYMBOLS

FIGURES = ["trace.png", "attributions.png"]
BRANCH = 1  # the step that reads it
T, P = SYMBOLS.index("T"), SYMBOLS.index("P")


def read(rows: int, job: Job, params: Any, folder: Path) -> FurtherResults:
    """What the trained nets keep of the branch, and what the last prediction but one rests on."""
    test = job.setting.task.test
    xs, lengths = test.xs.values[:, :rows], test.xs.lengths[:rows]
    branch = np.asarray(xs[BRANCH, :, T]) == 1

    def answer(outputs: jax.Array) -> jax.Array:
        """How much more active T is than P where one of them is asked for, ``[B]``."""
        asked = jnp.take_along_axis(outputs, (lengths - 2)[None, :, None], axis=0)[0]
        return asked[:, T] - asked[:, P]

    attribute = _nets.attributor(job, answer, xs, lengths, jnp.zeros(len(SYMBOLS)))

    def read_net(net: Net, with_figures: bool) -> Tables:
        trace = net.trace(xs, lengths)
        attributions = attribute(net)
        if with_figures:
            draw(net, trace, attributions, xs, int(lengths[0]), folder)
        right = (np.asarray(answer(net.read(trace.outputs))) > 0) == branch
        return {
            **compare_with_branch(attributions, np.asarray(trace.mask), right),
            **_nets.sums(attributions),
            **probe(_nets.states_of(trace), branch, np.asarray(trace.mask)),
            **_nets.describe_time_scales(net, trace),
        }

    return FurtherResults(_nets.read_runs(job, params, read_net), [], FIGURES)


def compare_with_branch(
    attributions: dict[str, Any], mask: np.ndarray, right: np.ndarray
) -> Tables:
    """The share of rows in which the step of the branch has the largest attribution, and the share
    of all attributions that this step has in the median row."""
    truth = np.zeros(mask.shape, bool)
    truth[BRANCH] = True
    first, shares = {}, {}
    for name in _nets.METHODS:
        sizes = _nets.sizes_of_steps(attributions[name])
        first[name] = np.mean(_nets.are_the_largest(truth, sizes))
        shares[name] = np.median(sizes[BRANCH] / sizes.sum(axis=0))
    return {
        "Rows in which the last prediction but one is right": {"T or P": right.mean()},
        "Rows in which the branch has the largest attribution to that prediction": first,
        "Share of the branch in the attributions of a row, median row": shares,
    }


def probe(states: jax.Array, branch: np.ndarray, mask: np.ndarray) -> Tables:
    """Whether a linear readout knows the branch, at any step since it was read."""
    since = mask & (np.arange(len(mask)) >= BRANCH)[:, None]
    since[np.sum(mask, axis=0) - 1, np.arange(mask.shape[1])] = False  # which repeats the symbol
    right, shuffled = _nets.probe(states, branch, "classification", since)
    row = {"accuracy": right, "accuracy of shuffled labels": shuffled}
    return {"Linear probes of the branch at all steps since, on held-out rows": row}


def draw(
    net: Net, trace: Any, attributions: dict[str, Any], xs: jax.Array, length: int, folder: Path
) -> None:
    """Draws the first row, up to the step before the last, whose answer is explained."""
    tokens = [SYMBOLS[i] for i in np.argmax(xs[: length - 1, 0], axis=-1)]
    shown = jax.tree.map(lambda leaf: leaf[: length - 1], trace.row(0))
    _nets.draw_trace(net, shown, tokens, folder / "trace.png")
    truth = np.arange(length - 1) == BRANCH
    _nets.draw_attributions(attributions, length - 1, tokens, truth, folder / "attributions.png")

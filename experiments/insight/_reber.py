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
            draw(net, attributions, xs, int(lengths[0]), folder)
        exchanged = net.trace(exchange_branch(xs), lengths).outputs
        answers, others = (
            np.asarray(answer(net.read(ys))) > 0 for ys in (trace.outputs, exchanged)
        )
        answered = {
            "right": np.mean(answers == branch),
            "changed by the other symbol at the branch": np.mean(answers != others),
        }
        return {
            "The last prediction but one, share of rows": answered,
            **compare_with_branch(attributions, np.asarray(trace.mask)),
            **_nets.sums(attributions),
            **probe(_nets.states_of(trace), branch, np.asarray(trace.mask)),
            **_nets.describe_time_scales(net, trace),
        }

    return FurtherResults(_nets.read_runs(job, params, read_net), [], FIGURES)


def exchange_branch(xs: jax.Array) -> jax.Array:
    """The strings ``[T, B, 7]`` with T for P and P for T where the branch is taken."""
    step = xs[BRANCH]
    return xs.at[BRANCH].set(step.at[:, T].set(step[:, P]).at[:, P].set(step[:, T]))


def compare_with_branch(attributions: dict[str, Any], mask: np.ndarray) -> Tables:
    """The share of rows in which the step of the branch has the largest attribution.

    Rows are apart whose answer differs from that to the baseline, a string without symbols. The
    others are those of the symbol that the net answers if it has read nothing.
    """
    integrated = attributions[_nets.METHODS[1]]
    answers = np.asarray(integrated.output)
    differs = (answers > 0) != (answers - np.asarray(integrated.expected) > 0)
    truth = np.zeros(mask.shape, bool)
    truth[BRANCH] = True
    title = "Rows in which the branch has the largest attribution to that prediction"
    tables: Tables = {}
    for rows, kind in ((differs, "differs from"), (~differs, "is the same as")):
        tables[f"{title}, where the answer {kind} that to no symbols"] = {
            name: share(_nets.are_the_largest(truth, sizes), rows)
            for name in _nets.METHODS
            for sizes in [np.asarray(attributions[name].size_of_steps)]
        }
    return tables


def share(found: np.ndarray, rows: np.ndarray) -> float:
    """The share of ``rows`` that are ``found``; 0 if there are none."""
    return float(np.sum(found & rows) / max(np.sum(rows), 1))


def probe(states: jax.Array, branch: np.ndarray, mask: np.ndarray) -> Tables:
    """Whether a linear readout knows the branch, at any step since it was read."""
    since = mask & (np.arange(len(mask)) >= BRANCH)[:, None]
    since[np.sum(mask, axis=0) - 1, np.arange(mask.shape[1])] = False  # which repeats the symbol
    labels = np.broadcast_to(branch, mask.shape)
    right, shuffled = _nets.probe(states, labels, "classification", since)
    row = {"accuracy": right, "accuracy of shuffled labels": shuffled}
    return {"Linear probes of the branch at all steps since, on held-out rows": row}


def draw(net: Net, attributions: dict[str, Any], xs: jax.Array, length: int, folder: Path) -> None:
    """Draws the first row, up to the step before the last, whose answer is explained."""
    shown = xs[: length - 1, :1]
    tokens = [SYMBOLS[i] for i in np.argmax(shown[:, 0], axis=-1)]
    _nets.draw_trace(net, net.trace(shown).row(0), tokens, folder / "trace.png")
    truth = np.arange(length - 1) == BRANCH
    _nets.draw_attributions(attributions, length - 1, tokens, truth, folder / "attributions.png")

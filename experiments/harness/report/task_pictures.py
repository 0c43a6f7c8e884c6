"""Pictures of one sequence of a task: the inputs at each step, and the targets."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.harness.report.style import save_figure
from lstm_jax import tasks
from lstm_jax.tasks.formal import listops

SAMPLED = 8  # sequences, of which the longest is shown
MAX_LABELLED_STEPS = 60  # the longest sequence whose steps are drawn as cells, with their targets
MAX_LABELLED_INPUTS = 26


class Names(NamedTuple):
    """Labels of inputs and classes; without them, they are numbered."""

    inputs: Sequence[str] = ()
    targets: Sequence[str] = ()


class Example(NamedTuple):
    """One sequence of a task.

    name: the task's name.
    inputs: ``[T, D]``.
    targets: by name; ``[T, ...]`` if the task reads every step, ``[...]`` if only the last.
    reads: as in ``Task``.
    """

    name: str
    inputs: np.ndarray
    targets: dict[str, np.ndarray]
    reads: str


def _distractors(count: int, *others: str) -> list[str]:
    return [*(f"a{n + 1}" for n in range(count)), *others]


# By the registered name: options that make a sequence short enough to look at, and labels.
SHORT: Mapping[str, Mapping[str, Any]] = {
    "adding": {"length": 24},
    "adding_1997": {"length": 24},
    "associative_recall": {"length": 20, "pairs": 4, "vocabulary": 14},
    "copy_memory": {"length": 14, "symbols": 4, "width": 5},
    "delayed_recall": {"delay": 18, "symbols": 4},
    "dyck": {"max_length": 24},
    "even_pairs": {"max_length": 20},
    "flip_flop": {"length": 24},
    "induction_heads": {"length": 24, "symbols": 8},
    "lags_2a": {"p": 12},
    "lags_2b": {"p": 12},
    "lags_2c": {"q": 10},
    "listops": {"min_length": 10, "max_length": 30, "training": 1000},
    "modular_arithmetic": {"max_length": 15},
    "n_bit_flip_flop": {"length": 24, "probability": 0.2},
    "parity": {"max_length": 20},
    "selective_copy": {"length": 18, "symbols": 8, "tokens": 5},
    "temporal_order": {"min_length": 30, "max_length": 33},
    "two_sequence": {"length": 40},
    "word_problem": {"group": "S3", "max_length": 20},
}
NAMES: Mapping[str, Names] = {
    "adding": Names(("value", "mark")),
    "adding_1997": Names(("value", "marker")),
    "associative_recall": Names("_abcdef0123456", "_abcdef0123456"),
    "copy_memory": Names("abcd_:", "abcd_"),
    "counting": Names("ab", ("a|b", "b", "end")),
    "delayed_recall": Names("abcd?", "abcd"),
    "digits": Names(("pixel",)),
    "dyck": Names("([)]", ("-", ")", "]")),
    "embedded_reber": Names("BTPSXVE", "BTPSXVE"),
    "even_pairs": Names("01", ("even", "odd")),
    "flip_flop": Names("wri01"),
    "induction_heads": Names("abcdefg!", "abcdefg!"),
    "lags_2a": Names(_distractors(11, "x", "y"), _distractors(11, "x", "y")),
    "lags_2b": Names(_distractors(11, "x", "y"), _distractors(11, "x", "y")),
    "lags_2c": Names(_distractors(10, "e", "b", "x", "y"), "xy"),
    "listops": Names(listops.TOKENS),
    "modular_arithmetic": Names("01234+-*"),
    "n_bit_flip_flop": Names(("bit 1", "bit 2", "bit 3"), ("bit 1", "bit 2", "bit 3")),
    "parity": Names("01", ("even", "odd")),
    "selective_copy": Names("abcdef_:", "abcdef"),
    "sequential_mnist": Names(("pixel",)),
    "temporal_order": Names("EBabcdXY", "QRSU"),
    "two_sequence": Names(("value",)),
}


def make_example(task: tasks.Task) -> Example:
    """The longest of a few training sequences; always the same one."""
    batch = task.sample(jax.random.key(0, impl="threefry2x32"), SAMPLED)
    row, xs = 0, batch.xs
    if isinstance(xs, tasks.Sequences):
        row = int(np.argmax(xs.lengths))
        xs = xs.values[: int(xs.lengths[row])]
    targets = batch.targets
    if hasattr(targets, "_asdict"):
        targets = targets._asdict()
    leaves = targets if isinstance(targets, dict) else {"target": targets}
    every = task.reads == "every"
    of_row = {
        name: np.asarray(leaf[: len(xs), row] if every else leaf[row])
        for name, leaf in leaves.items()
    }
    return Example(task.name, np.asarray(xs[:, row]), of_row, task.reads)


def draw_picture(example: Example, names: Names, path: Path) -> None:
    """Writes the picture to ``path`` (PNG): the inputs by step, and below them the targets."""
    steps, size = example.inputs.shape
    heights = [max(0.9, 0.19 * size if size <= MAX_LABELLED_INPUTS else 3.4)]
    heights += [0.19 * leaf.shape[-1] if is_set(leaf, example) else 0.3
                for leaf in example.targets.values()]  # fmt: skip
    figure = Figure(
        figsize=(float(np.clip(1.6 + 0.24 * steps, 4.5, 9.5)), 1.1 + sum(heights)),
        dpi=90,
        layout="constrained",
    )
    panels = figure.subplots(
        len(heights), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights}
    )[:, 0]
    if size == 1:
        draw_line(panels[0], example.inputs[:, 0], *names.inputs)
    else:
        draw_heatmap(panels[0], example.inputs, names.inputs)
    for panel, (name, leaf) in zip(panels[1:], example.targets.items(), strict=True):
        if is_set(leaf, example):
            draw_heatmap(panel, leaf.astype(float), names.targets)
            panel.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
        else:
            draw_answers(panel, name, answers_by_step(leaf, example, names.targets), steps)
    panels[0].set_title(example.name, fontsize=10)
    panels[-1].set_xlabel("step")
    panels[-1].set_xlim(-0.5, steps - 0.5)
    panels[-1].xaxis.get_major_locator().set_params(integer=True)
    save_figure(figure, path)


def is_set(leaf: np.ndarray, example: Example) -> bool:
    """Whether ``leaf`` has one value per class at every step, as targets that are sets do."""
    return example.reads == "every" and leaf.ndim == 2


def answers_by_step(leaf: np.ndarray, example: Example, names: Sequence[str]) -> dict[int, str]:
    """The targets as text, by step; classes below 0 are left out."""
    last = len(example.inputs) - 1
    by_step = dict(enumerate(leaf)) if example.reads == "every" else {last: leaf}
    if not np.issubdtype(leaf.dtype, np.integer):
        return {
            t: " ".join(f"{value:.3g}" for value in np.atleast_1d(v)) for t, v in by_step.items()
        }
    classes = {t: int(v) for t, v in by_step.items() if v >= 0}
    return {t: names[v] if names else str(v) for t, v in classes.items()}


def draw_heatmap(panel: Axes, values: np.ndarray, names: Sequence[str]) -> None:
    """Draws ``values [T, D]``: white for 0, blue above, red below."""
    steps, size = values.shape
    bound = 1.25 * float(np.abs(values).max() or 1.0)  # the ends of the colour map are nearly black
    panel.imshow(
        values.T, cmap="RdBu", vmin=-bound, vmax=bound, aspect="auto", interpolation="nearest"
    )
    if size <= MAX_LABELLED_INPUTS:
        panel.set_yticks(range(size), names or [str(i) for i in range(size)], fontsize=8)
        if steps <= MAX_LABELLED_STEPS:
            draw_grid(panel, steps, size)
            write_symbols(panel, values, names)
    else:
        panel.set_ylabel("input")


def draw_grid(panel: Axes, steps: int, size: int) -> None:
    """Draws thin lines between the cells."""
    panel.set_xticks(np.arange(steps + 1) - 0.5, minor=True)
    panel.set_yticks(np.arange(size + 1) - 0.5, minor=True)
    panel.grid(which="minor", color="0.88", linewidth=0.5)
    panel.tick_params(which="minor", length=0)


def write_symbols(panel: Axes, values: np.ndarray, names: Sequence[str]) -> None:
    """Writes the names of one-hot symbols into their cells."""
    if names and set(np.unique(values)) <= {0.0, 1.0}:
        for step, symbol in np.argwhere(values):
            name = names[symbol]
            panel.text(
                step, symbol, name, fontsize=8 if len(name) <= 2 else 6,
                color="white", ha="center", va="center_baseline",
            )  # fmt: skip


def draw_line(panel: Axes, values: np.ndarray, name: str = "input") -> None:
    """Draws the values ``[T]`` of a single input."""
    panel.axhline(0, color="0.8", linewidth=0.8)
    if len(values) <= MAX_LABELLED_STEPS:
        panel.vlines(range(len(values)), 0, values, color="#0072B2", linewidth=2)
    else:
        panel.fill_between(range(len(values)), 0, values, color="#0072B2", step="mid", linewidth=0)
    panel.set_ylabel(name)


def draw_answers(panel: Axes, name: str, answers: dict[int, str], steps: int) -> None:
    """Writes each target at its step, or a dot if there is no room for the text."""
    has_room = steps <= MAX_LABELLED_STEPS or len(answers) <= 2
    for step, text in answers.items():
        if has_room:
            edge = step == steps - 1 and (len(text) > 3 or steps > MAX_LABELLED_STEPS)
            panel.text(
                steps - 0.6 if edge else step, 0.5, text, fontsize=9, color="#B03A00",
                fontweight="bold", ha="right" if edge else "center", va="center_baseline",
            )  # fmt: skip
        else:
            panel.plot(step, 0.5, ".", color="#B03A00", markersize=3)
    panel.set_ylim(0, 1)
    panel.set_yticks([0.5], [name], fontsize=8)
    panel.tick_params(axis="y", length=0)

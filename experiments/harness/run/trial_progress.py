"""A progress bar over all trials of a study, with the time left, and one line per finished one."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rich.console import Console, RenderableType
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.text import Text

if TYPE_CHECKING:  # which imports this module
    from experiments.harness.run.trials import PlannedTrial

SHARE_OF_SIMPLE = 0.02  # the time of a baseline or a linear model as a share of a net's


class BarBelowText(Bar):
    """What is being done in a line of its own, as far as it fits, and below it the bar."""

    def get_renderables(self) -> Iterable[RenderableType]:
        for task in self.tasks:
            yield Text(task.description, no_wrap=True, overflow="ellipsis")
        yield self.make_tasks_table(self.tasks)


class TrialProgress:
    """A context manager; the unit of work is the trial of a net."""

    def __init__(self, trials: list["PlannedTrial"], console: Console):
        self._number = {trial.folder: i for i, trial in enumerate(trials, 1)}
        self._done = {trial.folder: 0.0 for trial in trials}
        self._before: dict[str, float] = {}  # the share that earlier starts had done
        self._total = sum(map(amount_of_work, trials))
        self._bar = BarBelowText(
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            speed_estimate_period=300.0,  # epochs can be long, and nets differ in speed
        )
        self._task = self._bar.add_task("start", total=self._total)

    def __enter__(self) -> "TrialProgress":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def warn(self, text: str) -> None:
        self._print(text, style="red")

    def skip(self, done: list["PlannedTrial"]) -> None:
        """Removes trials that were finished before this start, which would distort the time
        left."""
        for trial in done:
            del self._done[trial.folder]
            self._total -= amount_of_work(trial)
        self._bar.update(self._task, total=self._total)

    def show(self, trial: "PlannedTrial", fraction: float, text: str = "") -> None:
        """Shows that a fraction of the trial is done.

        What it begins with was done by an earlier start, and would distort the time left.
        """
        work, fraction = amount_of_work(trial), min(max(fraction, 0.0), 1.0)
        if fraction > 0 and trial.folder not in self._before:
            self._before[trial.folder] = fraction if fraction < 1 else 0.0
            self._total -= self._before[trial.folder] * work
        self._done[trial.folder] = (fraction - self._before.get(trial.folder, 0.0)) * work
        number = f"trial {self._number[trial.folder]} of {len(self._number)}"
        self._bar.update(
            self._task,
            total=self._total,
            completed=sum(self._done.values()),
            description=f"{trial.name} ({number})" + (f", {text}" if text else ""),
        )

    def print_result(self, trial: "PlannedTrial", result: dict[str, Any]) -> None:
        """Counts the trial as done, and prints a line with its scores."""
        self.show(trial, 1.0)
        line = f"{trial.name}: {result['seconds']:.0f} s"
        for column in trial.study.columns:
            value = result["scores"].get(column.name)
            if value is not None:
                line += f", {column.name} {value:.{column.digits}f}"
        self._print(line)

    def _print(self, text: str, style: str | None = None) -> None:
        self._bar.console.print(text, style=style, highlight=False, markup=False, soft_wrap=True)


def amount_of_work(trial: "PlannedTrial") -> float:
    """An estimate, by the kind of the entry."""
    return 1.0 if trial.entry.kind == "net" else SHARE_OF_SIMPLE

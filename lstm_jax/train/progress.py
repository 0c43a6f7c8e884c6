"""Progress of ``fit``: a bar with the time left, or calls of a function."""

import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from lstm_jax._internal import hosts

SECONDS_BETWEEN = 0.5
SECONDS_BETWEEN_LINES = 10.0


class Event(NamedTuple):
    """Where ``fit`` stands.

    epoch: how many are complete. epochs: how many there will be at most.
    batch, batches: of the next epoch, complete and in all.
    loss: the mean over the epoch so far, or of the last one if ``batch`` is 0.
    history: as in ``Fitted``, of the complete epochs.
    fold, folds: of a cross-validation, counted from 1; 0 outside of one.
    """

    epoch: int
    epochs: int
    batch: int
    batches: int
    loss: float
    history: dict[str, list[float]]
    fold: int = 0
    folds: int = 0


class Progress:
    """Shows nothing."""

    def __init__(self, epochs: int):
        self.epochs = epochs
        self._last = 0.0

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def is_due(self) -> bool:
        """Whether it is time to show something: losses are read from the device for it."""
        return time.monotonic() - self._last > SECONDS_BETWEEN

    def show(
        self, epoch: int, batch: int, batches: int, loss: float, history: dict[str, list[float]]
    ) -> None:
        self._last = time.monotonic()
        self.draw(Event(epoch, self.epochs, batch, batches, loss, history))

    def draw(self, event: Event) -> None:
        pass


class Calls(Progress):
    """Calls a function with each event."""

    def __init__(self, epochs: int, function: Callable[[Event], Any]):
        super().__init__(epochs)
        self._function = function

    def draw(self, event: Event) -> None:
        self._function(event)


class Lines(Progress):
    """Now and then a line on stderr, where rich is missing or stderr is a file."""

    def __init__(self, epochs: int):
        super().__init__(epochs)
        self._printed = time.monotonic()

    def draw(self, event: Event) -> None:
        is_due = time.monotonic() - self._printed > SECONDS_BETWEEN_LINES
        if event.batch == 0 and (is_due or event.epoch == event.epochs):
            self._printed = time.monotonic()
            print(f"{describe_epoch(event, event.epoch)}: {describe(event)}", file=sys.stderr)


class Bar(Progress):
    """A bar on stderr, with the time left."""

    def __enter__(self) -> "Progress":
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self._bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            speed_estimate_period=120.0,
        )
        self._bar.start()
        self._task = self._bar.add_task("compiling", total=None)
        self._start: int | None = None
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def draw(self, event: Event) -> None:
        epoch = describe_epoch(event, min(event.epoch + 1, event.epochs))
        in_fold = event.epoch * event.batches + event.batch
        of_fold = event.epochs * event.batches
        self._bar.update(
            self._task, description=f"{epoch}: {describe(event)}",
            total=max(event.folds, 1) * of_fold,
            completed=max(event.fold - 1, 0) * of_fold + in_fold,
        )  # fmt: skip


def describe_epoch(event: Event, epoch: int) -> str:
    """Such as "fold 2 of 10, epoch 3 of 20"."""
    fold = f"fold {event.fold} of {event.folds}, " if event.folds else ""
    return f"{fold}epoch {epoch} of {event.epochs}"


def describe(event: Event) -> str:
    """Such as "loss 0.51, validation_loss 0.62"."""
    held_out = [
        f"{name} {values[-1]:.4g}"
        for name, values in event.history.items()
        if name.startswith("validation_")
    ]
    return ", ".join([f"loss {event.loss:.4g}", *held_out])


def make_progress(progress: Any, epochs: int) -> Progress:
    """The progress that ``fit`` was asked for: True, False or a function. Of several processes only
    the first shows it."""
    if not hosts.is_first():
        return Progress(epochs)
    if callable(progress):
        return Calls(epochs, progress)
    if not progress:
        return Progress(epochs)
    try:
        from rich.console import Console
    except ImportError:
        return Lines(epochs)
    console = Console(stderr=True)
    return Bar(epochs) if console.is_terminal or console.is_jupyter else Lines(epochs)

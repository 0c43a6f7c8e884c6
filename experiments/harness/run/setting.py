"""What is compared on what: a task, a budget, contenders."""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

import jax

import lstm_jax as lj
from experiments.harness.run.learning_rates import ChosenRate, Rates, rates_for
from lstm_jax import tasks, train
from lstm_jax._internal import calls, checking
from lstm_jax._internal.errors import ArgumentError, WrongType, WrongValue
from lstm_jax.tasks import AnyTask, Task


@dataclasses.dataclass(frozen=True)
class Training:
    """What every contender gets alike. Also the options that all experiments share."""

    seeds: int = 4
    """Runs of each contender, from seeds 0, 1, 2, ...; a multiple of the CPU devices is best. With
    --sweep, runs at each rate, from seeds 1000, 1001, ..."""
    steps: int = 1000
    """Training steps."""
    seconds: float | None = None
    """Seconds of training for all runs of a contender, in place of steps: how many steps fit in is
    measured once, when the contender starts, and kept."""
    every: int = 100
    """Steps in one compiled call, and between two measurements on validation data."""
    batch_size: int = 32
    """Sequences in a training batch."""
    until_solved: bool = False
    """Stop each run as soon as it meets the task's criterion of success."""
    optimizer: str = "adam"
    """By its name in lstm_jax.train."""
    learning_rate: tuple[float, ...] = ()
    """Rates for all contenders; of several, each contender is reported at the one that is best on
    validation data. Not given: the rate that a sweep chose for each; where none did, that of the
    nearest length or of the cell without its options, or the best of three. The report says so."""
    schedule: str = "constant"
    """How the rate goes on over the steps: constant, linear or cosine to zero."""
    warmup: int = 0
    """Steps in which the rate rises from zero."""
    clip: float | None = 1.0
    """Largest global norm of a gradient."""
    vectorize: Literal["auto", "yes", "no"] = "auto"
    """Whether the runs of a device are computed side by side (vmap) or one after another."""

    @property
    def contenders(self) -> tuple[str, ...]:
        """The names of what is compared."""
        raise WrongType(f"{type(self).__name__} does not say what is compared")

    @property
    def options(self) -> dict[str, Any]:
        """What decides the numbers of every contender besides the above, by name, as JSON."""
        return {}


@dataclasses.dataclass(frozen=True)
class Budget(Training):
    """Cells of equal size."""

    cells: tuple[str, ...] = ("lstm", "gru", "rnn", "irnn")
    """Cells to compare, by their names in lj.cells.registry; options in brackets, as in
    "lstm(peephole=True)"."""
    parameters: int = 4500
    """Parameters of each model, readout included; the hidden size that comes nearest is taken."""
    state: int | None = None
    """Numbers in the state that each cell carries from step to step, to be equal in place of the
    parameters."""
    size: int | None = None
    """The hidden size of each cell, to be equal in place of the parameters."""
    truncate: int | None = None
    """Steps through which gradients are carried back; none: all."""
    random_truncation: bool = False
    """Draw where the first stretch of steps ends, anew in each batch."""

    @property
    def contenders(self) -> tuple[str, ...]:
        return self.cells

    @property
    def options(self) -> dict[str, Any]:
        """Only where they are not the default, so that older run folders still fit."""
        return {
            name: getattr(self, name)
            for name in ("state", "size", "truncate", "random_truncation")
            if getattr(self, name) != getattr(Budget, name)
        }


def cell_model(task: Task, budget: Budget, cell: str) -> train.Model:
    """The cell at the hidden size that comes nearest to the budget, with a readout."""
    checking.positive_int("parameters", budget.parameters)
    name, options = calls.parse("cells", cell, lj.cells.registry)
    if budget.random_truncation and budget.truncate is None:
        raise WrongValue("random_truncation: expected it only with truncate, got it alone")
    make: Callable[[int], Any] = functools.partial(lj.cells.make, name, **options)
    size = size_of(cell, make, budget, task)
    with naming(f"cells: {cell} of size {size}"):
        made = make(size)
    model = train.recurrent(
        made, task.input_size, task.output_size,
        reads=task.reads, truncate=budget.truncate, random_offset=budget.random_truncation,
    )  # fmt: skip
    if budget.truncate is not None:
        require_chunks(model, task)
    source = train.Description(name, size, task.input_size, task.output_size, task.reads, options)
    source.as_json()  # what cannot be saved is refused before it is trained
    return model._replace(source=source)


def require_chunks(model: train.Model, task: Task) -> None:
    """Raises ValueError, before anything is compiled, for a layer that cannot be truncated."""

    def answered(key: jax.Array) -> jax.Array:
        return model.apply(model.init(key), task.sample(key, 1).xs)

    try:
        jax.eval_shape(answered, jax.random.key(0))
    except ArgumentError as error:
        raise WrongValue(f"truncate: {error}") from None


def size_of(cell: str, make: Callable[[int], Any], budget: Budget, task: Task) -> int:
    """The hidden size, by whatever is to be equal. Raises ValueError, naming the option and the
    cell, for a budget that no size fits."""
    if budget.state is not None and budget.size is not None:
        raise WrongValue("size: expected one of the two, got it beside state")
    if budget.size is not None:
        return checking.positive_int("size", budget.size)
    with told_as("budget:", f"{'parameters' if budget.state is None else 'state'} of {cell} on "
                 f"{task.name}:"):  # fmt: skip
        if budget.state is not None:
            return train.size_near(make, budget.state, train.state_size)
        return size_for(cell, budget.parameters, task.input_size, task.output_size)


@contextlib.contextmanager
def told_as(argument: str, option: str) -> Iterator[None]:
    """An argument's error that starts with ``argument`` names the command's option in its place."""
    try:
        yield
    except ArgumentError as error:
        text = str(error)
        if not text.startswith(argument):
            raise
        raise type(error)(option + text.removeprefix(argument)) from None


@contextlib.contextmanager
def naming(whose: str) -> Iterator[None]:
    """An error of an argument says whose it is, such as a cell's."""
    try:
        yield
    except ArgumentError as error:
        raise type(error)(f"{whose}: {error}") from error


def named_task(text: str, option: str = "tasks") -> Task:
    """A task of an option of the command line, such as "parity" or "adding(length=50)"."""
    with told_as("name:", f"{option}:"):
        return tasks.make(text)


def as_named(optimizer: Any) -> Any:
    """No more than what the budget names."""
    return optimizer


@dataclasses.dataclass(frozen=True)
class Setting:
    """One panel of a comparison: a task, and the budget that all contenders have on it.

    chosen: learning rates by contender, as a sweep on validation data chose them for this task
        or, with a source that says so, for something near it.
    model: ``(task, budget, contender) -> Model``.
    further: ``(job, params [runs, ...], folder) -> Further``, what is measured and drawn once a
        job is trained, besides the score; None for nothing.
    published: what the literature reports, by contender, with its source.
    lag: how long is to be remembered, where settings of one experiment differ in it: the axis of
        the figure of success against lag.
    optimizer: what is made of the optimizer that the budget names; told by the budget's options.
    """

    task: AnyTask[Any]
    budget: Training
    chosen: Mapping[str, float | ChosenRate] = dataclasses.field(default_factory=dict)
    model: Callable[..., train.Model] = cell_model
    further: Callable[..., Any] | None = None
    published: dict[str, str] = dataclasses.field(default_factory=dict)
    lag: int | None = None
    optimizer: Callable[[Any], Any] = as_named

    def rates(self, contender: str) -> Rates:
        """The learning rates for ``contender``, and where they come from."""
        return rates_for(contender, self.chosen, self.budget)


Scores = dict[str, list[float | None]]  # by column, one a run


class Further(NamedTuple):
    """What is told of trained runs besides the score.

    scores: a row of a table, by the table's title.
    texts: paragraphs of Markdown. figures: names of files in the job's folder.
    """

    scores: dict[str, Scores]
    texts: list[str]
    figures: list[str]


@functools.cache
def size_for(cell: str, parameters: int, input_size: int, output_size: int) -> int:
    return train.size_for(
        functools.partial(lj.cells.make, cell), parameters, input_size, output_size
    )

"""A setting of a comparison: a task, a budget, and contenders."""

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
    """How all contenders are trained: the options that all experiments share."""

    seeds: int = 4
    """Runs of each contender, with seeds 0, 1, 2, ...; ideally a multiple of the number of devices.
    With --sweep, runs at each rate, with seeds 1000, 1001, ..."""
    steps: int = 1000
    """Training steps."""
    seconds: float | None = None
    """Seconds of training for all runs of a contender, instead of steps. How many steps fit is
    measured once, when the contender starts."""
    every: int = 100
    """Steps per compiled call, and between measurements on validation data."""
    batch_size: int = 32
    """Sequences per training batch."""
    until_solved: bool = False
    """Stop each run as soon as it meets the task's criterion of success."""
    optimizer: str = "adam"
    """The optimizer, by its name in lstm_jax.train."""
    learning_rate: tuple[float, ...] = ()
    """Rates for all contenders. If there are several, each contender is reported at the best one on
    validation data. Default: for each contender the rate that a sweep chose, if necessary for the
    nearest length or for the cell without its options; if there is none, the best of three. The
    report says which."""
    schedule: str = "constant"
    """The schedule of the rate: constant, or linear or cosine to zero."""
    warmup: int = 0
    """Steps over which the rate rises from zero."""
    clip: float | None = 1.0
    """Largest global norm of a gradient; larger ones are scaled down."""
    vectorize: Literal["auto", "yes", "no"] = "auto"
    """Whether the runs of a device are computed side by side with vmap, or one after another."""

    @property
    def contenders(self) -> tuple[str, ...]:
        """The names of the contenders."""
        raise WrongType(f"config: expected one with contenders, got {type(self).__name__}")

    @property
    def options(self) -> dict[str, Any]:
        """Further options that decide the numbers, by name, as JSON."""
        return {}


@dataclasses.dataclass(frozen=True)
class Budget(Training):
    """The options of comparisons between cells of equal size."""

    cells: tuple[str, ...] = ("lstm", "gru", "rnn", "irnn")
    """Cells to compare, by their names in lj.cells.registry, with options in brackets, as in
    "lstm(peephole=True)"."""
    parameters: int = 4500
    """Parameters of each model with its readout; the hidden size that comes nearest is used."""
    state: int | None = None
    """Size of the state that each cell carries from step to step, to be equal instead of the
    parameters."""
    size: int | None = None
    """Hidden size of each cell, to be equal instead of the number of parameters."""
    truncate: int | None = None
    """Steps through which gradients are propagated back; None: all."""
    random_truncation: bool = False
    """Draw where the first chunk of truncated steps ends, anew for each batch."""

    @property
    def contenders(self) -> tuple[str, ...]:
        return self.cells

    @property
    def options(self) -> dict[str, Any]:
        """Only those that are not the defaults, so that older run folders still match."""
        return {
            name: getattr(self, name)
            for name in ("state", "size", "truncate", "random_truncation")
            if getattr(self, name) != getattr(Budget, name)
        }


def cell_model(task: Task, budget: Budget, cell: str) -> train.Model:
    """The cell with a readout, at the hidden size that comes nearest to the budget."""
    checking.positive_int("parameters", budget.parameters)
    name, options = calls.parse("cells", cell, lj.cells.registry)
    if budget.random_truncation and budget.truncate is None:
        raise WrongValue("random_truncation: expected it only with truncate, got it alone")
    make: Callable[[int], Any] = functools.partial(lj.cells.make, name, **options)
    size = hidden_size(cell, make, budget, task)
    with prefix_errors(f"cells: {cell} of size {size}"):
        made = make(size)
    source = train.Description(name, size, task.input_size, task.output_size, task.reads, options)
    return recurrent_model(made, source, task, budget)


def recurrent_model(
    cell: lj.Cell, source: train.Description, task: Task, budget: Budget
) -> train.Model:
    """The cell with a readout for the task.

    Args:
        cell: The cell.
        source: What a saved model says of the cell.
        task: The task.
        budget: How gradients are truncated.

    Raises:
        ValueError: before training, if the model cannot be truncated or saved.
    """
    model = train.recurrent(
        cell, task.input_size, task.output_size,
        reads=task.reads, truncate=budget.truncate, random_offset=budget.random_truncation,
    )  # fmt: skip
    if budget.truncate is not None:
        require_truncatable(model, task)
    source.as_json()
    return model._replace(source=source)


def require_truncatable(model: train.Model, task: Task) -> None:
    """Raises ValueError, before compiling, if the model cannot be truncated."""

    def apply(key: jax.Array) -> jax.Array:
        return model.apply(model.init(key), task.sample(key, 1).xs)

    try:
        jax.eval_shape(apply, jax.random.key(0))
    except ArgumentError as error:
        raise WrongValue(f"truncate: {error}") from None


def hidden_size(cell: str, make: Callable[[int], Any], budget: Budget, task: Task) -> int:
    """The hidden size, by whatever is to be equal between cells.

    Args:
        cell: The cell's name with options, for errors.
        make: ``make(size)`` makes the cell.
        budget: The parameters, state or size that are to be equal.
        task: The task, for the sizes of inputs and outputs.

    Raises:
        ValueError: if no size fits the budget; the message names the option and the cell.
    """
    if budget.state is not None and budget.size is not None:
        raise WrongValue("size: expected either size or state, got both")
    if budget.size is not None:
        return checking.positive_int("size", budget.size)
    option = "parameters" if budget.state is None else "state"
    with rename_argument("budget", f"{option} of {cell} on {task.name}"):
        if budget.state is not None:
            return train.size_near(make, budget.state, train.state_size)
        return size_for(cell, budget.parameters, task.input_size, task.output_size)


@contextlib.contextmanager
def rename_argument(argument: str, option: str) -> Iterator[None]:
    """Renames ``argument``, in the errors of a function's own argument, to the command's option."""
    try:
        yield
    except ArgumentError as error:
        text = str(error)
        if not text.startswith(f"{argument}:"):
            raise
        raise type(error)(f"{option}{text.removeprefix(argument)}") from None


@contextlib.contextmanager
def prefix_errors(prefix: str) -> Iterator[None]:
    """Puts a prefix before the errors of arguments, such as the cell that they belong to."""
    try:
        yield
    except ArgumentError as error:
        raise type(error)(f"{prefix}: {error}") from error


def make_task(text: str, option: str = "tasks") -> Task:
    """The task in an option of the command line, such as "parity" or "adding(length=50)"."""
    calls.parse(option, text, tasks.registry)  # raises errors that name the option
    return tasks.make(text)


def unchanged(optimizer: Any) -> Any:
    """The optimizer as the budget names it."""
    return optimizer


@dataclasses.dataclass(frozen=True)
class Setting:
    """One panel of a comparison: a task, and the budget of all contenders on it.

    task: the task.
    budget: how the contenders are trained, and which they are.
    chosen: learning rates by contender, chosen by a sweep on validation data for this task or for
        a similar one, which their source then says.
    model: ``(task, budget, contender) -> Model``.
    further: ``(job, params [runs, ...], folder) -> FurtherResults``, further measurements and
        figures of a trained job; None for nothing.
    overall: ``(jobs, results, folder) -> OverallResults``, tables and figures that need all
        contenders of the setting, with their results as in result.json; None for nothing.
    published: results from the literature, by contender, with their source.
    lag: how long the task requires remembering, for settings that differ in it; the axis of the
        figure of success against lag.
    optimizer: maps the optimizer that the budget names to the one that is used. Anything that it
        changes must be among the budget's options.
    """

    task: AnyTask[Any]
    budget: Training
    chosen: Mapping[str, float | ChosenRate] = dataclasses.field(default_factory=dict)
    model: Callable[..., train.Model] = cell_model
    further: Callable[..., Any] | None = None
    overall: Callable[..., Any] | None = None
    published: dict[str, str] = dataclasses.field(default_factory=dict)
    lag: int | None = None
    optimizer: Callable[[Any], Any] = unchanged

    def rates(self, contender: str) -> Rates:
        """The learning rates for ``contender``, and where they come from."""
        return rates_for(contender, self.chosen, self.budget)


Scores = dict[str, list[float | None]]  # by column, one entry per run


class FurtherResults(NamedTuple):
    """Results of trained runs besides the score.

    scores: a row of a table, by the table's title.
    texts: paragraphs of Markdown.
    figures: names of files in the job's folder.
    """

    scores: dict[str, Scores]
    texts: list[str]
    figures: list[str]


class OverallResults(NamedTuple):
    """What the results of all contenders of a setting show together.

    tables: ``(title, columns, rows)`` of each, all of them text.
    figures: names of files in the run folder, by what they show.
    """

    tables: list[tuple[str, list[str], list[list[str]]]]
    figures: dict[str, str]


@functools.cache
def size_for(cell: str, parameters: int, input_size: int, output_size: int) -> int:
    """The hidden size of the cell with the number of parameters that comes nearest."""
    return train.size_for(
        functools.partial(lj.cells.make, cell), parameters, input_size, output_size
    )

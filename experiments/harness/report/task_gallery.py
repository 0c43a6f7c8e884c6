"""Every registered task, or some: a table of what each asks, and a picture of one example of each.

    python -m experiments tasks
    python -m experiments tasks my_task --load my_task.py

The table has the tasks at their defaults, the pictures short sequences. A task whose files or
packages are not there is left out with a note.
"""

import inspect
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from experiments.harness.report import task_pictures
from experiments.harness.report.report import rows_of, shown
from experiments.harness.run import lengths, loading, run_folder, user_errors
from experiments.harness.run.jobs import criterion, slug
from lstm_jax import tasks
from lstm_jax._internal import calls
from lstm_jax.tasks import classes

MADE = "`python -m experiments tasks` made this"
SOLVED = "solved when"
COLUMNS = (
    "task",
    "inputs",
    "outputs",
    "steps",
    "asked at",
    "score",
    "chance",
    "memoryless",
    SOLVED,
    "other lengths",
)


class Entry(NamedTuple):
    """name: as registered, with its options. source: the first paragraph of its factory's text.
    cells: what ``COLUMNS`` says."""

    name: str
    source: str
    cells: tuple[str, ...]


def main(argv: list[str]) -> int:
    """The exit code of the command."""
    import tyro

    def command(
        names: tyro.conf.Positional[tuple[str, ...]] = (),
        *,
        out: Path = Path("runs/tasks"),
        load: tuple[Path, ...] = (),
    ) -> int:
        """Prints the table, and writes it with the pictures.

        Args:
            names: The tasks, by their registered names, options in brackets; all if none is given.
            out: Folder for tasks.md and the pictures.
            load: Python files to run first, which register tasks of your own.
        """
        try:
            loading.load_files(load)
            for name in names:
                calls.parse("names", name, tasks.registry)
        except user_errors.MENDABLE as error:
            if not user_errors.is_mistake(error):
                raise
            return user_errors.tell(error)
        return gallery(out, names or sorted(tasks.registry))

    return tyro.cli(
        command, args=argv, prog="python -m experiments tasks", description=__doc__,
        config=(tyro.conf.FlagCreatePairsOff,),
    )  # fmt: skip


def gallery(out: Path, names: Sequence[str]) -> int:
    """Tables and pictures of the tasks with these names: the exit code."""
    try:
        run_folder.require_free_or_own(out, "tasks.md", MADE)
        out.mkdir(parents=True, exist_ok=True)
        if not (out / "tasks.md").exists():  # by which a killed run knows its folder again
            run_folder.write(out / "tasks.md", f"{MADE}, and has not ended.\n")
    except run_folder.Refused as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {out} cannot be written to ({error.strerror})", file=sys.stderr)
        return 2
    entries, skipped = [], {}
    for text in names:
        name, options = tasks.parse(text)
        file = f"{slug(text)}.png"
        try:
            entries.append(entry(text, tasks.make(text)))
            short = tasks.make(text, **({} if options else task_pictures.SHORT.get(name, {})))
        except user_errors.MENDABLE as error:  # such as of files that are others
            skipped[text] = str(error)
            continue
        called = task_pictures.NAMES.get(name, task_pictures.Names())
        task_pictures.picture(task_pictures.of(short), called, out / file)
        print(file, file=sys.stderr)
    show(entries, skipped)
    run_folder.write(out / "tasks.md", markdown(entries, skipped))
    print(f"kept in {out}")
    return 0


def entry(text: str, task: tasks.Task) -> Entry:
    score = task.score
    cells = (
        task.name,
        str(task.input_size),
        str(task.output_size),
        lengths.told(task.test.xs),
        f"the {task.reads}" if task.reads == "last" else task.reads,
        "; ".join(name_of(one) for one in (score, *task.scores)),
        shown(score.chance),
        "" if score.memoryless is None else shown(score.memoryless),
        "" if task.success is None else solved(task.success),
        "" if task.test_at is None else "yes",
    )
    return Entry(text, source(tasks.registry[tasks.parse(text)[0]]), cells)


def name_of(score: tasks.Score) -> str:
    return score.name if score.higher_is_better else f"{score.name}, {score.direction}"


def solved(success: tasks.Success) -> str:
    """The criterion in words, and what the error of a sequence is."""
    name = getattr(success.error, "__name__", "").strip("_").replace("_", " ")
    name = "share of wrong answers" if success.error is classes.error_rate else name
    return criterion(success) + (f"; error: {name}" if name else "")


def source(factory: Callable) -> str:
    """The first paragraph of the factory's text, in one line that ends in a full stop."""
    first = (inspect.getdoc(factory) or "").split("\n\n")[0]
    return " ".join(first.split()).rstrip(":.") + "."


def show(entries: list[Entry], skipped: dict[str, str]) -> None:
    """On the terminal: the table, and what is too long for it."""
    console = Console(width=None if sys.stdout.isatty() else 140)  # a file has no width
    table = Table()
    narrow = [i for i, column in enumerate(COLUMNS) if column != SOLVED]
    for i in narrow:
        table.add_column(COLUMNS[i], overflow="fold")
    for one in entries:
        table.add_row(*(escape(one.cells[i]) for i in narrow))
    console.print(table, highlight=False)
    for one in entries:
        text = f"{one.name}: {one.source}"
        if when := one.cells[COLUMNS.index(SOLVED)]:
            text += f" Solved when: {when}."
        console.print(text, highlight=False, markup=False)
    for name, reason in skipped.items():
        console.print(f"{name} is left out: {reason}", highlight=False, markup=False)


def markdown(entries: list[Entry], skipped: dict[str, str]) -> str:
    """The table and the pictures, as ``tasks.md`` has them."""
    rows = [(f"[{one.cells[0]}](#{slug(one.name).lower()})", *one.cells[1:]) for one in entries]
    lines = ["# tasks", "", f"{MADE}: all registered tasks at "]
    lines[-1] += "their defaults, and an example of each, of a short one where that is long."
    lines += ["", *rows_of(COLUMNS, rows), ""]
    lines += [f"{name} is left out: {reason}\n" for name, reason in skipped.items()]
    for one in entries:
        lines += [
            f"## {slug(one.name)}",
            "",
            one.source,
            "",
            f"![{one.name}]({slug(one.name)}.png)",
            "",
        ]
    return "\n".join(lines)

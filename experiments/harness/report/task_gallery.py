"""The tasks, all registered ones or those named: a table, and a picture of an example of each.

    python -m experiments tasks
    python -m experiments tasks my_task --load my_task.py

The table shows the tasks at their defaults, the pictures show short sequences. A task whose files
or packages are missing is left out with a note.
"""

import inspect
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.markup import escape
from rich.table import Table

from experiments.harness.report import task_pictures
from experiments.harness.report.console import make_console
from experiments.harness.report.markdown import markdown_table
from experiments.harness.report.report import format_score
from experiments.harness.run import lengths, loading, run_folder, user_errors
from experiments.harness.run.jobs import describe_criterion, slug
from lstm_jax import tasks
from lstm_jax._internal import calls
from lstm_jax.tasks import classes

MARK = "`python -m experiments tasks` made this"
SOLVED = "solved when"
COLUMNS = (
    "task",
    "inputs",
    "outputs",
    "steps",
    "answers at",
    "score",
    "chance",
    "memoryless",
    SOLVED,
    "other lengths",
)


class Entry(NamedTuple):
    """One task of the gallery.

    name: as registered, with its options.
    source: the first paragraph of its factory's docstring.
    cells: its row in the table, by ``COLUMNS``.
    """

    name: str
    source: str
    cells: tuple[str, ...]


def main(argv: list[str]) -> int:
    """Runs the command and returns its exit code."""
    import tyro

    def command(
        names: tyro.conf.Positional[tuple[str, ...]] = (),
        *,
        out: Path = Path("runs/tasks"),
        load: tuple[Path, ...] = (),
    ) -> int:
        """Prints the table, and writes it with the pictures.

        Args:
            names: Tasks by their registered names, with options in brackets; all if not given.
            out: Folder for tasks.md and the pictures.
            load: Python files to run first, which register tasks of your own.
        """
        try:
            loading.load_files(load)
            for name in names:
                calls.parse("names", name, tasks.registry)
        except user_errors.USER_ERRORS as error:
            if not user_errors.is_user_error(error):
                raise
            return user_errors.print_error(error)
        return write_gallery(out, names or sorted(tasks.registry))

    return tyro.cli(
        command, args=argv, prog="python -m experiments tasks", description=__doc__,
        config=(tyro.conf.FlagCreatePairsOff,),
    )  # fmt: skip


def write_gallery(out: Path, names: Sequence[str]) -> int:
    """Writes the table and the pictures of the tasks, and returns the exit code."""
    try:
        run_folder.require_free_or_own(out, "tasks.md", MARK)
        out.mkdir(parents=True, exist_ok=True)
        if not (out / "tasks.md").exists():  # so that the next run knows the folder as its own
            run_folder.write(out / "tasks.md", f"{MARK}, and did not finish.\n")
    except run_folder.RunFolderError as error:
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
            entries.append(make_entry(text, tasks.make(text)))
            short = tasks.make(text, **({} if options else task_pictures.SHORT.get(name, {})))
        except user_errors.USER_ERRORS as error:  # such as files with the wrong checksum
            skipped[text] = str(error)
            continue
        labels = task_pictures.NAMES.get(name, task_pictures.Names())
        task_pictures.draw_picture(task_pictures.make_example(short), labels, out / file)
        print(file, file=sys.stderr)
    print_entries(entries, skipped)
    run_folder.write(out / "tasks.md", render_markdown(entries, skipped))
    print(f"saved in {out}")
    return 0


def make_entry(text: str, task: tasks.Task) -> Entry:
    score = task.score
    cells = (
        task.name,
        str(task.input_size),
        str(task.output_size),
        lengths.describe_steps(task.test.xs),
        f"{task.reads} step",
        "; ".join(describe_score(one) for one in (score, *task.scores)),
        format_score(score.chance),
        "" if score.memoryless is None else format_score(score.memoryless),
        "" if task.success is None else describe_success(task.success),
        "" if task.test_at is None else "yes",
    )
    return Entry(text, first_paragraph(tasks.registry[tasks.parse(text)[0]]), cells)


def describe_score(score: tasks.Score) -> str:
    return score.name if score.higher_is_better else f"{score.name}, {score.direction}"


def describe_success(success: tasks.Success) -> str:
    """The criterion of success in words, with the error that it applies to."""
    name = getattr(success.error, "__name__", "").strip("_").replace("_", " ")
    name = "share of wrong answers" if success.error is classes.error_rate else name
    return describe_criterion(success) + (f"; error: {name}" if name else "")


def first_paragraph(factory: Callable) -> str:
    """The first paragraph of the factory's docstring, as one line that ends in a full stop."""
    first = (inspect.getdoc(factory) or "").split("\n\n")[0]
    return " ".join(first.split()).rstrip(":.") + "."


def print_entries(entries: list[Entry], skipped: dict[str, str]) -> None:
    """Prints the table, and below it what is too long for it."""
    console = make_console(140)
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


def render_markdown(entries: list[Entry], skipped: dict[str, str]) -> str:
    """tasks.md: the table and the pictures."""
    rows = [(f"[{one.cells[0]}](#{slug(one.name).lower()})", *one.cells[1:]) for one in entries]
    lines = [
        "# tasks",
        "",
        f"{MARK}: the registered tasks at their defaults, and an example of each, at a short "
        "length if the default is long.",
    ]
    lines += ["", *markdown_table(COLUMNS, rows), ""]
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

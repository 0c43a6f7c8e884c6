"""The report of a benchmark: tables, report.md, results.json and figures."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable

from benchmarks.harness import extra_tables, ratio_figure, tables
from benchmarks.harness.config import Comparison
from benchmarks.harness.work import Shape
from benchmarks.peers import TITLES
from experiments.harness.run import run_folder


def collect(
    path: Path, machine: dict[str, Any], config: dict[str, Any], absent: dict[str, str]
) -> dict[str, Any]:
    """All measurements in the run folder, as JSON."""
    read = {file.stem: run_folder.read_json(file) for file in (path / "measured").glob("*.json")}
    results = sorted((r for r in read.values() if "columns" in r), key=sort_key)
    parts = {
        section: [read[name] for name in sorted(read) if name.startswith(f"{section}_")]
        for section in ("latency", "memory", "allocator")
    }
    starts = run_folder.read_json(path / "environment.json")
    return {
        "machine": machine,
        "settings": {name: value for name, value in config.items() if name != "versions"},
        "versions": config["versions"],
        "jax": starts[-1]["jax"],
        "revisions": list(dict.fromkeys(start["git"] for start in starts)),
        "absent": absent,
        "results": results,
        **parts,
    }


def sort_key(result: dict[str, Any]) -> tuple[bool, int, Comparison]:
    """By the amount of work; batch 1, which cannot be spread over devices, last."""
    shape = Shape.parse(result["shape"])
    size = shape.batch * shape.steps * shape.hidden * (shape.inputs + shape.hidden)
    return shape.batch == 1, size, Comparison(result["cell"], shape, result["layers"])


def write_report(summary: dict[str, Any], path: Path, console: Console) -> None:
    """Prints the tables, and writes results.json, report.md and the figures into ``path``."""
    results = summary["results"]
    all_tables = tables.speed_tables(results) + extra_tables.make_tables(summary)
    for table in all_tables:
        console.print(to_rich_table(table))
    figures = [f"ratios_{cell}" for cell in dict.fromkeys(result["cell"] for result in results)]
    for name in figures:
        ratio_figure.draw_ratios(results, name.removeprefix("ratios_"), path / f"{name}.png")
    run_folder.write_json(path / "results.json", summary)
    run_folder.write(path / "report.md", render_markdown(summary, all_tables, figures))


def to_rich_table(table: tables.Table) -> RichTable:
    """The table for the terminal."""
    printed = RichTable(title=table.title, caption=table.note, title_justify="left")
    for i, name in enumerate(table.header):
        printed.add_column(name, justify="right" if i else "left")
    for row in table.rows:
        printed.add_row(*row)
    return printed


def render_markdown(
    summary: dict[str, Any], all_tables: list[tables.Table], figures: list[str]
) -> str:
    lines = ["# lstm_jax beside its peers", "", *describe_run(summary), ""]
    lines += [line for figure in figures for line in (f"![{figure}]({figure}.png)", "")]
    return "\n".join(
        [*lines, *(line for table in all_tables for line in tables.to_markdown(table))]
    )


def describe_run(summary: dict[str, Any]) -> list[str]:
    """Machine, versions, options and missing contenders, as lines of report.md."""
    machine, settings = summary["machine"], summary["settings"]
    versions = ", ".join(f"{TITLES[n]} {v}" for n, v in summary["versions"].items())
    allocator = "kept" if settings["keep_memory"] else "did not keep"
    lines = [
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}; "
        f"Python {machine['python']}, jax {summary['jax']}; {versions}. "
        f"{settings['rounds']} rounds or {settings['budget']:g} s per comparison, in turns. "
        f"The allocator {allocator} freed memory, for every contender.",
    ]
    revisions = [revision for revision in summary["revisions"] if revision]
    if revisions:
        lines += ["", f"Revision {', '.join(revisions)}."]
    for reason in summary["absent"].values():
        lines += ["", f"Empty column: {reason}."]
    return lines

"""The report of a comparison: tables, report.md, results.json and figures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from experiments.harness.report import curves, overview, traces
from experiments.harness.report.console import print_table
from experiments.harness.report.markdown import markdown_table
from experiments.harness.report.summary import (
    count_solved,
    interval_of_median,
    median_sequences,
    summarize,
)
from experiments.harness.run import run_folder
from experiments.harness.run.jobs import Job, slug
from experiments.harness.run.learning_rates import describe_sources
from lstm_jax._internal import storage

CONTENDER = "contender"


def write_report(
    name: str,
    jobs: list[Job],
    results: list[dict[str, Any]],
    path: Path,
    console: Console,
    *,
    trace: bool = False,
) -> None:
    """Prints the tables, and writes results.json, report.md and the figures to ``path``; with
    ``trace`` also figures of gates and states over one test sequence."""
    summary = summarize(name, jobs, results)
    for setting in summary["settings"]:
        own = select_jobs(setting, jobs, results)
        setting.update(compare_all(*own, path))
        if trace:
            setting["figures"] |= traces.draw_traces(*own, path)
    for setting in summary["settings"]:
        columns, rows = make_table(setting)
        print_table(
            console, setting_title(setting), columns, rows, caption=describe_chance(setting)
        )
        if text := describe_rates(setting):
            console.print(text, highlight=False, markup=False)
        for title, further in setting["further"].items():
            columns, rows = make_further_table(further)
            print_table(console, f"{title}, median over runs", columns, rows)
        for title, columns, rows in setting["tables"]:
            print_table(console, title, columns, rows)
    for title, columns, rows in make_overview_tables(summary):
        print_table(console, title, columns, rows)
    console.print(footnote(), highlight=False)
    summary["figures"] = {}
    if overview.is_needed(summary):
        overview.draw_overview(summary, path / "overview.png")
        summary["figures"]["overview"] = "overview.png"
    if curves.draw_lags(summary, path / "lags.png"):
        summary["figures"]["success against lag"] = "lags.png"
    curves.draw_curves(jobs, results, path / "curves.png")
    summary["figures"]["learning curves"] = "curves.png"
    for setting in summary["settings"]:
        setting["figures"] |= draw_figures(setting, jobs, results, path)
    run_folder.write_json(path / "results.json", summary)
    run_folder.write(path / "report.md", render_markdown(summary))


def select_jobs(
    setting: dict[str, Any], jobs: list[Job], results: list[dict[str, Any]]
) -> tuple[list[Job], list[dict[str, Any]]]:
    """The jobs of a setting, and their results."""
    pairs = zip(jobs, results, strict=True)
    own = [pair for pair in pairs if pair[0].setting.task.name == setting["task"]]
    return [job for job, _ in own], [result for _, result in own]


def compare_all(jobs: list[Job], results: list[dict[str, Any]], path: Path) -> dict[str, Any]:
    """The tables and the figures of a setting that need the results of all its contenders."""
    overall = jobs[0].setting.overall
    if overall is None:
        return {"tables": [], "figures": {}}
    return overall(jobs, results, path)._asdict()


def draw_figures(
    setting: dict[str, Any], jobs: list[Job], results: list[dict[str, Any]], path: Path
) -> dict[str, str]:
    """Draws the further scores of a setting whose columns are numbers, and copies the figures that
    its jobs drew after training.

    Returns:
        The names of the files in ``path``, by what they show.
    """
    files = {}
    for title, rows in setting["further"].items():
        if all(curves.axis_position(column) is not None for column in next(iter(rows.values()))):
            files[title] = f"{slug(setting['task'] + ' ' + title)}.png"
            curves.draw_by_length(
                title, rows, path / files[title], chance=setting["chance"],
                higher_is_better=setting["direction"] == "higher is better",
            )  # fmt: skip
    for job, result in zip(*select_jobs(setting, jobs, results), strict=True):
        for file in result.get("further", {}).get("figures", ()):
            name = f"{slug(job.name)}_{file}"
            files[f"{job.contender}, {Path(file).stem}"] = name
            with storage.replacing(path / name) as copy:
                copy.write((path / job.folder / file).read_bytes())
    return files


def setting_title(setting: dict[str, Any]) -> str:
    first = setting["contenders"][0]
    steps = {contender["steps"] for contender in setting["contenders"]}
    budget = f"{min(steps)}" if len(steps) == 1 else f"{min(steps)} to {max(steps)}"
    if setting["until_solved"]:
        budget = f"at most {budget}"
    time = "" if setting["seconds"] is None else f" in {setting['seconds']:g} s"
    return (
        f"{setting['task']}: test {setting['score']}, {setting['direction']} "
        f"({curves.count_seeds(len(first['seeds']))}, {budget} steps of {setting['batch_size']} "
        f"{'sequence' if setting['batch_size'] == 1 else 'sequences'}{time})"
    )


def describe_chance(setting: dict[str, Any]) -> str:
    text = f"chance: {format_score(setting['chance'])}"
    if setting["memoryless"] is not None:
        text += f"; without memory: {format_score(setting['memoryless'])}"
    for other in setting.get("scores", ()):
        text += f"; {other['score']}: chance {format_score(other['chance'])}"
        if other["memoryless"] is not None:
            text += f", without memory {format_score(other['memoryless'])}"
    if setting["success"] is not None:
        text += f"; solved: {setting['success']}"
        if setting["until_solved"]:
            text += ", which ends a run"
    return text


def describe_rates(setting: dict[str, Any]) -> str:
    """Says where learning rates come from that were not chosen for their contender and task; "" if
    all were, and for results of older versions, which do not have the sources."""
    rows = setting["contenders"]
    return describe_sources(
        setting["task"], {row["contender"]: row.get("rate_source", "") for row in rows}
    )


def footnote() -> str:
    return (
        "Scores are on test data, at the end of training (of a run that ends early, when the task "
        "is solved) and at the learning rate chosen on validation data. Brackets: 95 % bootstrap "
        "intervals of the median, which with so few seeds are no wider than best to worst. "
        "Seconds: training, all runs and rates together."
    )


def make_table(setting: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """The columns and the rows of a setting's table; columns without any entry are left out."""
    judged = setting["success"] is not None
    published = any(contender["published"] for contender in setting["contenders"])
    columns = [CONTENDER, "hidden size", "parameters", "learning rate", "median", "best to worst"]
    others = setting.get("scores", ())  # missing in results of older versions
    columns += [f"{other['score']}, {other['direction']}" for other in others]
    if judged:
        columns += ["solved", "sequences"]
    if published:
        columns += ["published"]
    columns += ["seconds"]
    names = [other["score"] for other in others]
    return columns, [
        make_row(contender, names, judged, published) for contender in setting["contenders"]
    ]


def make_row(
    contender: dict[str, Any], others: Sequence[str], judged: bool, published: bool
) -> list[str]:
    cells = [
        contender["contender"],
        str(contender["hidden_size"]),
        str(contender["parameters"]),
        f"{contender['learning_rate']:g}",
        format_median(contender),
        f"{format_score(contender['best'])} to {format_score(contender['worst'])}",
    ]
    found = contender.get("scores", {})
    cells += [format_median(found[name]) if name in found else "-" for name in others]
    if judged:
        count = median_sequences(contender)
        cells += [f"{count_solved(contender)} of {len(contender['solved'])}"]
        cells += ["-" if count is None else f"{count:,.0f}"]
    if published:
        cells += [contender["published"] or ""]
    return [*cells, f"{contender['seconds']:.0f}"]


def format_median(score: dict[str, Any]) -> str:
    """The median over runs, with its interval."""
    text = format_score(score["median"])
    if score["interval"] is not None:
        low, high = map(format_score, score["interval"])
        text += f" [{low}, {high}]"
    return text


def make_further_table(rows: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    columns = [CONTENDER, *next(iter(rows.values()))]
    values = [value for scores in rows.values() for row in scores.values() for value in row]
    numbers = [value for value in values if value is not None]
    counts = all(value % 1 == 0 for value in numbers) and max(numbers, default=0) > 1
    return columns, [
        [name, *(format_median_of(values, counts=counts) for values in scores.values())]
        for name, scores in rows.items()
    ]


def format_median_of(values: list[float | None], *, counts: bool = False) -> str:
    """The median over runs, with its interval where the runs differ; "diverged" if one did.

    Args:
        values: One per run, None for one that diverged.
        counts: Whether they are whole numbers, such as numbers of points.
    """

    def show(value: float) -> str:
        return f"{value:g}" if counts else format_score(value)

    scores = np.array([np.nan if value is None else value for value in values])
    if not np.isfinite(scores).all():
        return format_score(None)
    text = show(float(np.median(scores)))
    low, high = interval_of_median(scores) or (0.0, 0.0)
    return text if low == high else f"{text} [{show(low)}, {show(high)}]"


def format_score(score: float | None) -> str:
    """Four decimals, or two significant digits for very small and very large numbers."""
    if score is None:
        return "diverged"
    return f"{score:.4f}" if 0.001 <= score < 100 or score == 0 else f"{score:.1e}"


def render_markdown(summary: dict[str, Any]) -> str:
    """report.md: the tables and the figures."""
    lines = [f"# {summary['experiment']}", ""]
    for title, columns, rows in make_overview_tables(summary):
        lines += [f"**{title}**", "", *markdown_table(columns, rows), ""]
    for setting in summary["settings"]:
        lines += [f"**{setting_title(setting)}**, {describe_chance(setting)}", ""]
        lines += [*markdown_table(*make_table(setting)), ""]
        if text := describe_rates(setting):
            lines += [text, ""]
        for title, rows in setting["further"].items():
            lines += [
                f"**{title}**, median over runs",
                "",
                *markdown_table(*make_further_table(rows)),
                "",
            ]
        for title, columns, rows in setting["tables"]:
            lines += [f"**{title}**", "", *markdown_table(columns, rows), ""]
        for text in setting["texts"]:
            lines += [text, ""]
        for shows, file in setting["figures"].items():
            lines += [f"![{shows}]({file})", ""]
    lines += [footnote(), ""]
    for shows, file in summary["figures"].items():
        lines += [f"![{shows}]({file})", ""]
    return "\n".join(lines)


def make_overview_tables(summary: dict[str, Any]) -> list[tuple[str, list[str], list[list[str]]]]:
    """The tables over all settings, if there are many: title, columns and rows of each."""
    tables = []
    if overview.is_needed(summary):
        title = "Median test scores from 0 (no memory) to 1 (perfect), and runs that solve the task"
        tables.append((title, *overview.make_table(summary)))
    longest = overview.longest_lags(summary)
    if longest is not None:
        tables.append(("Longest lag that most runs solve", *longest))
    return tables

"""The report of studies: tables, report.md, results.json and figures."""

from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.markup import escape

from experiments.harness.report.console import print_table
from experiments.harness.report.markdown import markdown_table
from experiments.harness.report.study_summary import best_entries, summarize
from experiments.harness.report.style import save_figure
from experiments.harness.run import run_folder
from experiments.harness.run.jobs import slug
from experiments.harness.run.study import SECONDS, Findings, Results, Study

ENTRY = "entry"
LONGEST_NAME = 60  # of a figure's file


class Cell(NamedTuple):
    """One cell of a table, and how it stands out."""

    text: str
    bold: bool = False
    italic: bool = False

    def as_markdown(self) -> str:
        mark = "**" if self.bold else "*" if self.italic else ""
        return f"{mark}{self.text}{mark}"

    def as_markup(self) -> str:
        """For the terminal."""
        text = escape(self.text)
        return f"[bold]{text}[/bold]" if self.bold else f"[i]{text}[/i]" if self.italic else text


def write_report(name: str, results: list[Results], path: Path, console: Console) -> None:
    """Prints the tables, and writes results.json, report.md and the figures to ``path``."""
    summaries = []
    for of_study in results:
        study, summary = of_study.study, summarize(of_study)
        found = study.findings(of_study) if study.findings is not None else Findings()
        summary["texts"] = list(found.texts)
        summary["tables"] = [list(table) for table in found.tables]
        summary["figures"] = {}
        for shows, figure in found.figures.items():
            file = f"{slug(f'{study.name} {shows}')[:LONGEST_NAME]}.png"
            save_figure(figure, path / file)
            summary["figures"][shows] = file
        summaries.append(summary)
    for summary in summaries:
        columns, cells = make_table(summary)
        rows = [[cell.as_markup() for cell in row] for row in cells]
        print_table(console, title_of(summary), columns, rows, caption=summary["split"])
        for text in divergences(summary):
            console.print(text, highlight=False, markup=False)
        for title, columns, rows in summary["tables"]:
            print_table(console, title, columns, rows)
    console.print(footnote(summaries), highlight=False)
    whole = {"experiment": name, "studies": summaries}
    run_folder.write_json(path / "results.json", whole)
    run_folder.write(path / "report.md", render_markdown(whole))


def describe(study: Study) -> str:
    """The split, and the numbers from the literature that the table will have."""
    published = ", ".join(f"{row.name} ({row.source})" for row in study.published)
    return study.split + (f" Beside it, from the literature: {published}." if published else "")


def title_of(summary: dict[str, Any]) -> str:
    """The name of the study, and which direction of its scores is better."""
    directions: dict[bool, list[str]] = {}
    for column in summary["columns"]:
        if column["higher_is_better"] is not None:
            directions.setdefault(column["higher_is_better"], []).append(column["name"])
    words = {True: "higher", False: "lower"}
    if len(directions) == 1:
        return f"{summary['study']}: {words[next(iter(directions))]} is better"
    parts = [f"{words[up]} is better for {', '.join(names)}" for up, names in directions.items()]
    return ": ".join([summary["study"], *(["; ".join(parts)] if parts else [])])


def make_table(summary: dict[str, Any]) -> tuple[list[str], list[list[Cell]]]:
    """The columns and the rows of a study's table, those from the literature last."""
    columns = summary["columns"]
    best = {column["name"]: best_entries(summary, column) for column in columns}
    names = [ENTRY, "kind", "parameters", *(column["name"] for column in columns)]
    rows = []
    for row in summary["entries"]:
        cells = [Cell(row["entry"]), Cell(row["kind"]), Cell(format_count(row["parameters"]))]
        for column in columns:
            text = format_score(row["scores"].get(column["name"]), column, summary["over"])
            cells.append(Cell(text, bold=row["entry"] in best[column["name"]]))
        rows.append([*cells, Cell(f"{len(row['trials'])}"), Cell(format_seconds(row[SECONDS]))])
    for row in summary["published"]:
        cells = [
            Cell(f"{row['name']} ({row['source']})", italic=True),
            Cell("published" if row["checked"] else "reported"),
            Cell(format_count(row["parameters"])),
        ]
        for column in columns:
            value = row["scores"].get(column["name"])
            cells.append(Cell("-" if value is None else f"{value:.{column['digits']}f}"))
        rows.append([*cells, Cell("-"), Cell("-")])
    return [*names, summary["over"], SECONDS], rows


def format_score(score: dict[str, Any] | None, column: dict[str, Any], over: str) -> str:
    """The center with its spread; "diverged" for what is not finite, "-" for what is not there."""
    if score is None:
        return "-"
    if score["center"] is None:
        return "diverged"
    digits, spread = column["digits"], score["spread"]
    text = f"{score['center']:.{digits}f}"
    if spread is None:
        return text
    if over == "folds":
        return f"{text} ± {spread:.{digits}f}"
    low, high = (f"{bound:.{digits}f}" for bound in spread)
    return text if low == high else f"{text} [{low}, {high}]"


def format_count(count: int | None) -> str:
    return "-" if count is None else f"{count:,}"


def format_seconds(seconds: float) -> str:
    """Whole seconds, or two digits of what is below 10."""
    return f"{seconds:,.0f}" if seconds >= 10 else f"{seconds:.2g}"


def divergences(summary: dict[str, Any]) -> list[str]:
    """A line for each trial that diverged."""
    return [
        f"{row['entry']}, {summary['over'][:-1]} {seed}: {text}"
        for row in summary["entries"]
        for seed, text in row["diverged"].items()
    ]


def footnote(summaries: list[dict[str, Any]]) -> str:
    text = "Bold: the best of each column. Italic: from the literature, not measured here."
    if any(not row["checked"] for summary in summaries for row in summary["published"]):
        text += " Reported: quoted without having been checked in the source."
    spreads = {
        "seeds": "Scores: the median over seeds; brackets: its 95 % bootstrap interval, which with "
        "so few seeds is no wider than best to worst, and is left out below three.",
        "folds": "Scores: the mean over folds ± their standard deviation.",
    }
    for over in dict.fromkeys(summary["over"] for summary in summaries):
        text += f" {spreads[over]}"
    return f"{text} Seconds: of one trial, the median, with compiling."


def render_markdown(whole: dict[str, Any]) -> str:
    """report.md: the tables, the texts and the figures."""
    lines = [f"# {whole['experiment']}", ""]
    for summary in whole["studies"]:
        columns, cells = make_table(summary)
        rows = [[cell.as_markdown() for cell in row] for row in cells]
        lines += [f"**{title_of(summary)}**", "", *markdown_table(columns, rows), ""]
        lines += [summary["split"], ""]
        for text in (*divergences(summary), *summary["texts"]):
            lines += [text, ""]
        for title, names, texts in summary["tables"]:
            lines += [f"**{title}**", "", *markdown_table(names, texts), ""]
        for shows, file in summary["figures"].items():
            lines += [f"![{shows}]({file})", ""]
    return "\n".join([*lines, footnote(whole["studies"]), ""])

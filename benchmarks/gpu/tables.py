"""The report of ``python -m benchmarks.gpu``, as Markdown."""

from collections.abc import Sequence
from typing import Any

from benchmarks.harness import tables
from benchmarks.harness.tables import Table
from benchmarks.harness.timing import median, paired_ratio
from benchmarks.peers import CUDNN, OURS, TITLES

Results = dict[str, Any]
PROGRAM_TITLES = {"both": "forward and backward", "forward": "forward"}


def render_markdown(results: Results) -> str:
    """report.md: the tables of all sections so far."""
    lines = ["# On a GPU", ""]
    if results["small"]:
        lines += ["**A rehearsal at small sizes: these numbers say nothing about a GPU.**", ""]
    made = [environment_table(results["sections"])]
    sections = results["sections"]
    if "tests" in sections.get("tests", {}):
        made += test_tables(sections["tests"])
    if "cells" in sections:
        made += cell_tables(sections["cells"])
    if "methods" in sections:
        made += method_tables(sections["methods"])
    if "seeds" in sections:
        made.append(seeds_table(sections["seeds"]["records"]))
    for table in made:
        lines += tables.to_markdown(table)
    return "\n".join(lines)


def environment_table(sections: Results) -> Table:
    """One column per environment; a single one if all sections ran in the same."""
    where: dict[str, list[str]] = {}
    rows: dict[str, dict[str, str]] = {}
    for name, section in sections.items():
        seen = {field: format_cell(value) for field, value in section["environment"].items()}
        key = str(seen)
        where.setdefault(key, []).append(name)
        for field, value in seen.items():
            rows.setdefault(field, {})[key] = value
    header = ["", *(", ".join(names) for names in where.values())]
    values = [[field, *(row.get(key, "") for key in where)] for field, row in rows.items()]
    status = [[f"{name}: status", section["status"]] for name, section in sections.items()]
    width = len(header)
    return Table(
        "Environment", header, [*values, *([*row, *[""] * (width - len(row))] for row in status)]
    )


def format_cell(value: Any) -> str:
    """The value as text for a cell of a table."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {format_cell(entry)}" for key, entry in value.items())
    if isinstance(value, list):
        return "; ".join(map(format_cell, value))
    return "not installed" if value is None else str(value).replace("|", "/").replace("\n", "; ")


def test_tables(section: Results) -> list[Table]:
    tests = section["tests"]
    skipped, not_run = tests["skipped"], tests["not_run"]
    rows = [
        ["ran", str(tests["ran"])],
        ["failed", str(len(tests["failed"]))],
        ["skipped", str(len(skipped))],
        ["not finished in time", str(len(not_run) + len(tests["running_at_the_end"]))],
    ]
    ended = {unit: status for unit, status in section["units"].items() if status != "done"}
    named = [*((name, "failed") for name in tests["failed"]),
             *((name, "was running at the end") for name in tests["running_at_the_end"]),
             *((unit, format_cell(status)) for unit, status in ended.items())]  # fmt: skip
    note = (
        "In float32, all products are in full float32. The tracebacks are in failures.txt, the "
        "names of all tests in results.json."
    )
    made = [Table("Tests", ["", "tests"], rows, note)]
    if named:
        made.append(
            Table("Tests that did not pass", ["test", "outcome"], [list(row) for row in named])
        )
    return made


def cell_tables(section: Results) -> list[Table]:
    records = section["records"]
    names = column_names(records, first=f"{OURS}, ")
    made = []
    for program, title in PROGRAM_TITLES.items():
        rows = [
            [record["cell"].upper(), record["dtype"], record["shape"], *make_cells(record, names)]
            for record in records
            if record.get("program") == program
        ]
        header = ["", "dtype", "B x T x D x H", *map(column_title, names)]
        made.append(Table(f"LSTM and GRU, {title}", header, rows, TIMES_NOTE))
    made[-1] = made[-1]._replace(note=" ".join([TIMES_NOTE, *make_notes(records)]))
    return made


def method_tables(section: Results) -> list[Table]:
    records = section["records"]
    names = column_names(records, first="scan")
    made = []
    for program, title in PROGRAM_TITLES.items():
        rows = [
            [record["cell"], record["shape"], *make_cells(record, names)]
            for record in records
            if record.get("program") == program
        ]
        header = ["", "B x T x D x H", *names]
        made.append(Table(f"Methods beside scan, float32, {title}", header, rows, TIMES_NOTE))
    made[-1] = made[-1]._replace(note=" ".join([TIMES_NOTE, *make_notes(records)]))
    return made


TIMES_NOTE = (
    "Median milliseconds; from the second column of times on, also the ratio to the first (the "
    "median over paired rounds)."
)


def column_names(records: Sequence[Results], first: str) -> list[str]:
    """The contenders of all records, with those that begin with ``first`` first."""
    every = dict.fromkeys(name for record in records for name in record.get("columns", {}))
    failed = dict.fromkeys(name for record in records for name in record.get("errors", {}))
    return sorted(every | failed, key=lambda name: not name.startswith(first))


def column_title(name: str) -> str:
    return TITLES.get(name, name) + (" (jax.experimental.rnn)" if name == CUDNN else "")


def make_cells(record: Results, names: Sequence[str]) -> list[str]:
    """The cells of a row: "12.3", then "1.50x 18.5", or the first words of an error."""
    times = {name: column["ms"] for name, column in record["columns"].items()}
    base = next((name for name in names if name in times), None)
    cells = []
    for name in names:
        if name in times:
            ms = tables.format_number(median(times[name]))
            alone = base is None or name == base
            ratio = "" if alone else f"{paired_ratio(times[name], times[base]):.2f}x "
            cells.append(ratio + ms)
        else:
            cells.append(record["errors"].get(name, "").split(":")[0])
    return cells


def make_notes(records: Sequence[Results]) -> list[str]:
    """Sentences on missing contenders, failures, and comparisons that were not reached in time."""
    absent = [text for record in records for text in record.get("absent", {}).values()]
    failed = {
        f"{column_title(name)}, {record['cell']} {record['shape']}: {format_cell(text)}."
        for record in records
        for name, text in record.get("errors", {}).items()
    }
    left = [
        f"{record['cell']} {record.get('dtype', '')} {record['shape']}"
        for record in records
        if "left_out" in record
    ]
    late = [f"Not reached in time: {'; '.join(left)}."] if left else []
    return [*(f"Left out: {format_cell(text)}." for text in absent), *sorted(failed), *late]


def seeds_table(records: Sequence[Results]) -> Table:
    rows, rates = [], dict[int, float]()
    for record in sorted(records, key=lambda record: record["seeds"]):
        if "ms" in record:
            ms = median(record["ms"])
            rates[record["seeds"]] = 1e3 * record["seeds"] * record["steps"] / ms
    for record in sorted(records, key=lambda record: record["seeds"]):
        count = record["seeds"]
        if count in rates:
            beside = f"{rates[count] / rates[1]:.2f}x" if 1 in rates else ""
            rows.append([str(count), tables.format_number(rates[count]), beside])
        else:
            rows.append([str(count), format_cell(record["error"]), ""])
    note = "Training steps per second of all seeds together; an LSTM on adding."
    if records:
        one = records[0]
        note += f" T = {one['length']}, batches of {one['batch']}, {one['size']} units."
    return Table(
        "Seeds under vmap", ["seeds", "seed-steps per second", "beside one seed"], rows, note
    )

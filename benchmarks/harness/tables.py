"""The tables of the report, as text."""

from collections.abc import Callable
from typing import Any, NamedTuple

from benchmarks.harness import ratios
from benchmarks.harness.measure import PROGRAMS, column
from benchmarks.harness.timing import median
from benchmarks.peers import OURS, OURS_BEFORE, PEERS, TITLES

Result = dict[str, Any]
NONE = ""  # a contender that is not here, or that has no such column
PROGRAM_TITLES = {"forward": "forward", "both": "forward and backward"}


class Table(NamedTuple):
    title: str
    header: list[str]
    rows: list[list[str]]
    note: str = ""


def speed_tables(results: list[Result]) -> list[Table]:
    """The overview, then the times and ratios by cell, program and devices, then the rest."""
    if not results:
        return []
    groups = [
        (cell, program, devices)
        for cell in dict.fromkeys(result["cell"] for result in results)
        for program in reversed(PROGRAMS)
        for devices in ratios.device_counts(results)
    ]
    times = [times_table(results, *group) for group in groups]
    return [overview(results, groups), *times, share_table(results), *compile_tables(results)]


def overview(results: list[Result], groups: list[tuple[str, str, int]]) -> Table:
    rows = []
    for cell, program, devices in groups:
        chosen = [result for result in results if result["cell"] == cell]
        means = [ratios.mean_ratio(chosen, name, devices, program) for name in PEERS]
        fastest = ratios.mean_fastest(chosen, devices, program)
        title = f"{cell.upper()}, {PROGRAM_TITLES[program]}, {on(devices)}"
        rows.append([title, times_(fastest), *map(times_, means)])
    header = ["geometric mean over shapes", "fastest JAX peer", *(TITLES[name] for name in PEERS)]
    note = (
        "Their time over ours: above 1 lstm_jax is faster. The fastest JAX peer is chosen shape by "
        "shape. PyTorch has its threads on all cores in every row."
    )
    return Table("Ratios", header, rows, note)


def times_table(results: list[Result], cell: str, program: str, devices: int) -> Table:
    chosen = [
        result
        for result in results
        if result["cell"] == cell and column(OURS, devices) in result["columns"]
    ]
    rows = []
    for result in chosen:
        ours = ratios.times(result, OURS, devices, program) or []
        cells = [peer_cell(result, name, devices, program) for name in PEERS]
        fastest = times_(ratios.fastest_jax_peer(result, devices, program)[1])
        rows.append([named(result), f"{shown(median(ours))} ({shown(min(ours))})", *cells, fastest])
    means = [times_(ratios.mean_ratio(chosen, name, devices, program)) for name in PEERS]
    rows.append(
        ["geometric mean", "", *means, times_(ratios.mean_fastest(chosen, devices, program))]
    )
    header = ["B x T x D x H", "lstm_jax", *(TITLES[name] for name in PEERS), "fastest JAX peer"]
    note = "Median milliseconds (the least in brackets); peers: ratio to ours, median milliseconds."
    if cell == "gru" and any(column(OURS_BEFORE, 1) in result["columns"] for result in chosen):
        note += (
            " Haiku's GRU resets before the product: it is checked and timed against our cell in "
            "that convention (`reset_after=False`), its ratio is to that, and the fastest peer is "
            "chosen among the others."
        )
    title = f"{cell.upper()}, {PROGRAM_TITLES[program]}, {on(devices)}"
    return Table(title, header, rows, note)


def peer_cell(result: Result, name: str, devices: int, program: str) -> str:
    value = ratios.ratio(result, name, devices, program)
    if value is None:
        return NONE
    return f"{times_(value)} {shown(median(ratios.times(result, name, devices, program) or []))}"


def share_table(results: list[Result]) -> Table:
    def cell(result: Result, name: str) -> str:
        share = ratios.matrix_share(result, name, 1)
        return NONE if share is None else f"{100 * share:.0f} %"

    note = (
        "FLOP/s of the matrix products, forward and backward, over those of one large float32 "
        "product measured in the same rounds; one JAX device has the threads of all cores."
    )
    return by_contender("Share of the machine's matrix rate, one device", results, cell, note)


def compile_tables(results: list[Result]) -> list[Table]:
    def fact(result: Result, name: str, key: str) -> Any:
        return result["columns"].get(column(name, 1), {}).get(key)

    def seconds(result: Result, name: str) -> str:
        value = fact(result, name, "compile_seconds")
        return NONE if value is None else f"{value:.2f}"

    def megabytes(result: Result, name: str) -> str:
        value = fact(result, name, "temporary_bytes")
        return NONE if value is None else shown(value / 1e6)

    compile_note = "Seconds to trace, lower and compile forward and backward, on one device."
    memory_note = "MB that XLA reserves beside arguments and results: forward and backward."
    return [
        by_contender("Compile time", results, seconds, compile_note),
        by_contender("Temporary memory", results, megabytes, memory_note),
    ]


def by_contender(
    title: str,
    records: list[Result],
    cell: Callable[[Result, str], str],
    note: str,
    label: Callable[[Result], str] = lambda result: f"{result['cell'].upper()} {named(result)}",
) -> Table:
    """A row a record, a column a contender; a column without any entry is left out."""
    names = [name for name in TITLES if any(cell(record, name) for record in records)]
    rows = [[label(record), *(cell(record, name) for name in names)] for record in records]
    return Table(title, ["", *(TITLES[name] for name in names)], rows, note)


def named(result: Result) -> str:
    return result["shape"] + (f", {result['layers']} layers" if result["layers"] > 1 else "")


def on(devices: int) -> str:
    return "one device" if devices == 1 else f"{devices} devices"


def times_(ratio: float | None) -> str:
    return NONE if ratio is None else f"{ratio:.2f}x"


def shown(value: float) -> str:
    """Three significant digits, without an exponent."""
    return f"{value:.0f}" if value >= 99.95 else f"{value:#.3g}".rstrip(".")


def text(table: Table) -> list[str]:
    """As Markdown."""
    lines = [f"## {table.title}", ""]
    lines += [line(table.header), "|---" + "|---:" * (len(table.header) - 1) + "|"]
    lines += [line(row) for row in table.rows]
    return [*lines, "", table.note, ""] if table.note else [*lines, ""]


def line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"

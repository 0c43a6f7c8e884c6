"""The tables of the report."""

from collections.abc import Callable
from typing import Any, NamedTuple

from benchmarks.harness import ratios
from benchmarks.harness.measure import PROGRAMS, column_name
from benchmarks.harness.timing import median
from benchmarks.peers import OURS, OURS_BEFORE, PEERS, TITLES
from experiments.harness.report.markdown import markdown_table

Result = dict[str, Any]
NONE = ""  # of a contender that is not installed, or has no such value
PROGRAM_TITLES = {"forward": "forward", "both": "forward and backward"}


class Table(NamedTuple):
    title: str
    header: list[str]
    rows: list[list[str]]
    note: str = ""


def speed_tables(results: list[Result]) -> list[Table]:
    """The overview, the times and ratios by cell, program and devices, and the compiler's facts."""
    if not results:
        return []
    groups = [
        (cell, program, devices)
        for cell in dict.fromkeys(result["cell"] for result in results)
        for program in reversed(PROGRAMS)
        for devices in ratios.device_counts(results)
    ]
    times = [times_table(results, *group) for group in groups]
    return [overview_table(results, groups), *times, share_table(results), *compile_tables(results)]


def overview_table(results: list[Result], groups: list[tuple[str, str, int]]) -> Table:
    rows = []
    for cell, program, devices in groups:
        chosen = [result for result in results if result["cell"] == cell]
        means = [ratios.mean_ratio(chosen, name, devices, program) for name in PEERS]
        fastest = ratios.mean_fastest(chosen, devices, program)
        title = f"{cell.upper()}, {PROGRAM_TITLES[program]}, {devices_label(devices)}"
        rows.append([title, format_ratio(fastest), *map(format_ratio, means)])
    header = ["geometric mean over shapes", "fastest JAX peer", *(TITLES[name] for name in PEERS)]
    note = (
        "The peer's time over ours: above 1, lstm_jax is faster. The fastest JAX peer is chosen "
        "for each shape. PyTorch uses all cores in every row."
    )
    return Table("Ratios", header, rows, note)


def times_table(results: list[Result], cell: str, program: str, devices: int) -> Table:
    chosen = [
        result
        for result in results
        if result["cell"] == cell and column_name(OURS, devices) in result["columns"]
    ]
    rows = []
    for result in chosen:
        ours = ratios.times(result, OURS, devices, program) or []
        cells = [format_peer(result, name, devices, program) for name in PEERS]
        fastest = format_ratio(ratios.fastest_jax_peer(result, devices, program)[1])
        rows.append(
            [
                shape_label(result),
                f"{format_number(median(ours))} ({format_number(min(ours))})",
                *cells,
                fastest,
            ]
        )
    means = [format_ratio(ratios.mean_ratio(chosen, name, devices, program)) for name in PEERS]
    rows.append(
        ["geometric mean", "", *means, format_ratio(ratios.mean_fastest(chosen, devices, program))]
    )
    header = ["B x T x D x H", "lstm_jax", *(TITLES[name] for name in PEERS), "fastest JAX peer"]
    note = "Median milliseconds (minimum in brackets); peers: ratio to ours, median milliseconds."
    if cell == "gru" and any(column_name(OURS_BEFORE, 1) in result["columns"] for result in chosen):
        note += (
            " Haiku's GRU resets before the product: it is checked, timed and compared with our "
            "cell in that convention (`reset_after=False`), and the fastest peer is chosen among "
            "the others."
        )
    title = f"{cell.upper()}, {PROGRAM_TITLES[program]}, {devices_label(devices)}"
    return Table(title, header, rows, note)


def format_peer(result: Result, name: str, devices: int, program: str) -> str:
    value = ratios.ratio(result, name, devices, program)
    if value is None:
        return NONE
    milliseconds = median(ratios.times(result, name, devices, program) or [])
    return f"{format_ratio(value)} {format_number(milliseconds)}"


def share_table(results: list[Result]) -> Table:
    def cell(result: Result, name: str) -> str:
        share = ratios.matrix_share(result, name, 1)
        return NONE if share is None else f"{100 * share:.0f} %"

    note = (
        "FLOP/s of the matrix products, forward and backward, over those of one large float32 "
        "product measured in the same rounds; one JAX device uses the threads of all cores."
    )
    return contender_table("Share of the machine's matrix rate, one device", results, cell, note)


def compile_tables(results: list[Result]) -> list[Table]:
    def fact(result: Result, name: str, key: str) -> Any:
        return result["columns"].get(column_name(name, 1), {}).get(key)

    def seconds(result: Result, name: str) -> str:
        value = fact(result, name, "compile_seconds")
        return NONE if value is None else f"{value:.2f}"

    def megabytes(result: Result, name: str) -> str:
        value = fact(result, name, "temporary_bytes")
        return NONE if value is None else format_number(value / 1e6)

    compile_note = "Seconds to trace, lower and compile forward and backward, on one device."
    allocation_note = "MB that XLA reserves besides arguments and results, forward and backward."
    return [
        contender_table("Compile time", results, seconds, compile_note),
        contender_table("Temporary allocation", results, megabytes, allocation_note),
    ]


def contender_table(
    title: str,
    records: list[Result],
    cell: Callable[[Result, str], str],
    note: str,
    label: Callable[[Result], str] = lambda result: (
        f"{result['cell'].upper()} {shape_label(result)}"
    ),
) -> Table:
    """One row per record and one column per contender; columns without any entry are left out."""
    names = [name for name in TITLES if any(cell(record, name) for record in records)]
    rows = [[label(record), *(cell(record, name) for name in names)] for record in records]
    return Table(title, ["", *(TITLES[name] for name in names)], rows, note)


def shape_label(result: Result) -> str:
    return result["shape"] + (f", {result['layers']} layers" if result["layers"] > 1 else "")


def devices_label(devices: int) -> str:
    return "one device" if devices == 1 else f"{devices} devices"


def format_ratio(ratio: float | None) -> str:
    return NONE if ratio is None else f"{ratio:.2f}x"


def format_number(value: float) -> str:
    """Three significant digits, without an exponent."""
    return f"{value:.0f}" if value >= 99.95 else f"{value:#.3g}".rstrip(".")


def to_markdown(table: Table) -> list[str]:
    """The table as lines of Markdown."""
    lines = [f"## {table.title}", "", *markdown_table(table.header, table.rows), ""]
    return [*lines, table.note, ""] if table.note else lines

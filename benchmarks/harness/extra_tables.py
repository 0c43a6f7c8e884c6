"""The tables besides speed: latency of one step at batch 1, peak RAM, the allocator."""

from typing import Any

from benchmarks.harness.tables import NONE, Table, contender_table, format_number
from benchmarks.peers import TITLES

Record = dict[str, Any]


def make_tables(summary: dict[str, Any]) -> list[Table]:
    tables = []
    if summary["latency"]:
        records = sorted(summary["latency"], key=lambda record: (record["cell"], record["size"]))
        tables.append(
            contender_table(
                "One step at batch 1",
                records,
                lambda record, name: format_optional(record["microseconds"].get(name)),
                "Microseconds: the median over 2,000 calls, in turns; each call is waited for, and "
                "its overhead in Python is included. The state is carried from call to call. JAX "
                "contenders are jitted.",
                step_label,
            )
        )
        compared = [record for record in records if record.get("ratios")]
        if compared:
            tables.append(
                contender_table(
                    "One step at batch 1, beside lj.stream",
                    compared,
                    lambda record, name: format_peer(record["ratios"].get(name)),
                    "Their time over that of lj.stream in their convention: above 1 lj.stream is "
                    "faster. Medians over rounds of the ratio within a round.",
                    step_label,
                )
            )
    if summary["memory"]:
        tables.append(
            contender_table(
                "Peak RAM, forward and backward",
                summary["memory"],
                lambda record, name: format_optional(record["peak_bytes"].get(name), 1e6),
                "MB by which the call raises the resident set of the contender's own process, "
                "including gradients, without weights and inputs.",
                lambda record: f"{record['cell'].upper()} {record['shape']}",
            )
        )
    for record in summary["allocator"]:
        tables.append(allocator_table(record))
    return tables


def step_label(record: Record) -> str:
    return f"{record['cell'].upper()}, D = H = {record['size']}"


def format_peer(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}x"


def allocator_table(record: Record) -> Table:
    kept, given_back = record["kept_ms"], record["given_back_ms"]
    names = [name for name in TITLES if name in kept and name in given_back]
    rows = [
        ["freed memory is kept", *(format_number(kept[name]) for name in names)],
        [
            "freed memory is returned to the system",
            *(format_number(given_back[name]) for name in names),
        ],
        ["ratio", *(f"{given_back[name] / kept[name]:.2f}x" for name in names)],
    ]
    note = (
        "Median milliseconds, forward and backward, on one JAX device, each in its own process. "
        "`lj.train.keep_freed_memory()` turns it on."
    )
    title = f"Speedup from keeping freed memory: {record['cell'].upper()} {record['shape']}"
    return Table(title, ["", *(TITLES[name] for name in names)], rows, note)


def format_optional(value: float | None, unit: float = 1.0) -> str:
    return NONE if value is None else format_number(value / unit)

"""The tables beside speed: one step at batch 1, peak memory, the allocator."""

from typing import Any

from benchmarks.harness.tables import NONE, Table, by_contender, shown
from benchmarks.peers import TITLES

Record = dict[str, Any]


def tables(summary: dict[str, Any]) -> list[Table]:
    made = []
    if summary["latency"]:
        records = sorted(summary["latency"], key=lambda record: (record["cell"], record["size"]))
        made.append(
            by_contender(
                "One step at batch 1",
                records,
                lambda record, name: number(record["microseconds"].get(name)),
                "Microseconds: the median over 2,000 calls in turns, each waited for, with the "
                "state carried and the call from Python counted. JAX contenders are jitted.",
                lambda record: f"{record['cell'].upper()}, D = H = {record['size']}",
            )
        )
    if summary["memory"]:
        made.append(
            by_contender(
                "Peak memory, forward and backward",
                summary["memory"],
                lambda record, name: number(record["peak_bytes"].get(name), 1e6),
                "MB by which the call raises the resident memory of a process of its own; "
                "gradients are part of it, weights and inputs are not.",
                lambda record: f"{record['cell'].upper()} {record['shape']}",
            )
        )
    for record in summary["allocator"]:
        made.append(allocator_table(record))
    return made


def allocator_table(record: Record) -> Table:
    kept, given_back = record["kept_ms"], record["given_back_ms"]
    names = [name for name in TITLES if name in kept and name in given_back]
    rows = [
        ["freed memory is kept", *(shown(kept[name]) for name in names)],
        ["it goes back to the system", *(shown(given_back[name]) for name in names)],
        ["ratio", *(f"{given_back[name] / kept[name]:.2f}x" for name in names)],
    ]
    note = (
        "Median milliseconds, forward and backward, one JAX device, in a process each. "
        "`lj.train.keep_freed_memory()` is the one line that it takes."
    )
    title = f"What keeping freed memory is worth: {record['cell'].upper()} {record['shape']}"
    return Table(title, ["", *(TITLES[name] for name in names)], rows, note)


def number(value: float | None, unit: float = 1.0) -> str:
    return NONE if value is None else shown(value / unit)

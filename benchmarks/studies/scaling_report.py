"""The report of the scaling study: tables, report.md, results.json and two figures."""

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator
from rich.console import Console

from benchmarks.harness import report as peers_report
from benchmarks.harness.config import Comparison
from benchmarks.harness.tables import NONE, Table, format_number, to_markdown
from benchmarks.harness.timing import median
from benchmarks.peers import OURS, TITLES
from experiments.harness.report.style import STYLES, save_figure
from experiments.harness.run import run_folder

AXES = {
    "steps": "time steps T",
    "hidden": "hidden size H",
    "batch": "batch B",
    "layers": "layers",
}
MARKERS = ("o", "s", "^", "D", "P", "v", "X")
Point = tuple[str, int, dict[str, Any]]


def write_report(
    points: list[tuple[str, int, Comparison]],
    machine: dict[str, Any],
    config: dict[str, Any],
    absent: dict[str, str],
    path: Path,
    console: Console,
) -> None:
    """Prints the tables, and writes results.json, report.md and the figures into ``path``."""
    measured = path / "measured"
    read = [
        (axis, value, run_folder.read_json(measured / comparison.file))
        for axis, value, comparison in points
    ]
    streamed = measured / "stream.json"
    long = run_folder.read_json(streamed) if streamed.exists() else None
    starts = run_folder.read_json(path / "environment.json")
    summary = {
        "machine": machine,
        "settings": {name: value for name, value in config.items() if name != "versions"},
        "versions": config["versions"],
        "jax": starts[-1]["jax"],
        "revisions": list(dict.fromkeys(start["git"] for start in starts)),
        "absent": absent,
        "points": [{"axis": axis, "value": value, **record} for axis, value, record in read],
        "stream": long,
    }
    tables = [make_table(axis, read) for axis in AXES if any(point[0] == axis for point in read)]
    draw_growth(read, config, path / "growth.png")
    figures = ["growth"]
    if long is not None:
        tables.append(stream_table(long))
        draw_stream(long, path / "stream.png")
        figures.append("stream")
    for table in tables:
        console.print(peers_report.to_rich_table(table))
    run_folder.write_json(path / "results.json", summary)
    lines = ["# How time and RAM scale", "", *peers_report.describe_run(summary), ""]
    lines += [line for name in figures for line in (f"![{name}]({name}.png)", "")]
    lines += [line for table in tables for line in to_markdown(table)]
    run_folder.write(path / "report.md", "\n".join(lines))


def make_table(axis: str, points: list[Point]) -> Table:
    chosen = sorted((value, record) for name, value, record in points if name == axis)
    names = [name for name in TITLES if any(name in record["ms"] for _, record in chosen)]
    rows = []
    for value, record in chosen:
        cells = []
        for name in names:
            size = record["temporary_bytes"].get(name)
            cells += [
                format_number(median(record["ms"][name])),
                NONE if size is None else format_number(size / 1e6),
            ]
        rows.append([str(value), *cells])
    header = [AXES[axis], *(f"{TITLES[name]}, {unit}" for name in names for unit in ("ms", "MB"))]
    note = "Median of forward and backward on one device, and the bytes that XLA reserves for it."
    return Table(f"Along {AXES[axis]}", header, rows, note)


def stream_table(record: dict[str, Any]) -> Table:
    """Seconds and resident set at powers of ten, and at the end."""
    along = record["along"]
    powers = [10**power for power in range(3, 10) if 10**power <= along[-1]["steps"]]
    ends = [next(at for at in along if at["steps"] >= steps) for steps in powers] + [along[-1]]
    rows = [
        [
            f"{at['steps']:,}",
            format_number(at["seconds"]),
            NONE if at["bytes"] is None else format_number(at["bytes"] / 1e6),
        ]
        for at in {at["steps"]: at for at in ends}.values()
    ]
    note = (
        f"Batch {record['batch']}, input size {record['inputs']}, hidden size {record['hidden']}, "
        f"in chunks of {record['chunk']} steps with the state carried; forward only."
    )
    return Table("A long sequence", ["steps", "seconds", "resident MB"], rows, note)


def draw_growth(points: list[Point], config: dict[str, Any], path: Path) -> None:
    """Draws times above and temporary bytes below, one column per axis that is varied; the dotted
    lines are proportional to it."""
    axes = [axis for axis in AXES if any(point[0] == axis for point in points)]
    figure = Figure(figsize=(1.2 + 3.3 * len(axes), 6.4), dpi=130, layout="constrained")
    panels = figure.subplots(2, len(axes), squeeze=False, sharex="col", sharey="row")
    for axis, time, ram in zip(axes, panels[0], panels[1], strict=True):
        chosen = sorted((value, record) for name, value, record in points if name == axis)
        values = [value for value, _ in chosen]
        for i, name in enumerate(
            n for n in TITLES if any(n in record["ms"] for _, record in chosen)
        ):
            style = {"color": STYLES[i % len(STYLES)][0], "marker": MARKERS[i], "markersize": 5}
            times = [median(record["ms"][name]) for _, record in chosen]
            time.plot(values, times, label=TITLES[name], **style)
            sizes = [record["temporary_bytes"].get(name) for _, record in chosen]
            if None not in sizes:
                ram.plot(values, [size / 1e6 for size in sizes], **style)
            if name == OURS:
                draw_proportional(time, values, times)
                if None not in sizes:
                    draw_proportional(ram, values, [size / 1e6 for size in sizes])
        for panel in (time, ram):
            use_log_axes(panel)
        ram.set_xticks(values, list(map(str, values)), fontsize=8)
        ram.xaxis.set_minor_locator(NullLocator())
        ram.set_xlabel(AXES[axis])
    panels[0][0].set_ylabel("forward and backward, ms")
    panels[1][0].set_ylabel("temporary allocation, MB")
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    figure.suptitle(f"{config['cell'].upper()} around {config['base']} (B x T x D x H), one device")
    save_figure(figure, path)


def draw_proportional(panel: Axes, values: list[int], sizes: list[float]) -> None:
    """Draws the line through the last point that is proportional to the value."""
    line = [sizes[-1] * value / values[-1] for value in values]
    panel.plot(values, line, color="0.5", linestyle=":", linewidth=1, label="proportional")


def use_log_axes(panel: Axes) -> None:
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(alpha=0.3, linewidth=0.5)


def draw_stream(record: dict[str, Any], path: Path) -> None:
    """Draws seconds and the resident set along the sequence."""
    along = record["along"]
    steps = [at["steps"] for at in along]
    figure = Figure(figsize=(8.4, 3.4), dpi=130, layout="constrained")
    time, ram = figure.subplots(1, 2)
    time.plot(steps, [at["seconds"] for at in along], color=STYLES[0][0], linewidth=2)
    use_log_axes(time)
    time.set_ylabel("seconds since the start")
    if all(at["bytes"] is not None for at in along):
        ram.plot(steps, [at["bytes"] / 1e6 for at in along], color=STYLES[0][0], linewidth=2)
    ram.set_xscale("log")
    ram.set_ylim(0, 1.2 * ram.get_ylim()[1])
    ram.set_ylabel("resident set, MB")
    ram.spines[["top", "right"]].set_visible(False)
    ram.grid(alpha=0.3, linewidth=0.5)
    for panel in (time, ram):
        panel.set_xlabel("steps streamed")
    figure.suptitle(
        f"Streamed in chunks of {record['chunk']:,} steps "
        f"(B = {record['batch']}, D = {record['inputs']}, H = {record['hidden']}), forward"
    )
    save_figure(figure, path)

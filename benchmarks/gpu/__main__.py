"""Tests and measurements on a GPU, in at most ten minutes: ``python -m benchmarks.gpu``.

It needs only JAX with CUDA, lstm_jax's own requirements and pytest, and installs nothing; Flax,
PyTorch and cuDNN are compared if they are installed. The sections, the most important first: tests
(references, unroll, the laws of ten cells, attention and training), cells (LSTM and GRU beside the
peers), methods (``associative`` and ``parallel`` beside ``scan``) and seeds (training under vmap).
Each section has its own time limit, and the time that one leaves goes to the next. Results are on
disk within a second: results.json, report.md, and the tracebacks of failures in failures.txt.

``--small`` rehearses everything on a CPU. ``--sections cells seeds`` runs some sections only, and
keeps the earlier results of the others.
"""

import argparse
import importlib.util
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import benchmarks
from benchmarks.gpu import processes, suite, tables
from benchmarks.gpu.processes import DONE, Unit
from benchmarks.gpu.section import NAMES
from benchmarks.harness import timing
from benchmarks.harness.machine import INTERRUPTED
from experiments.harness.run import run_folder as files

ROOT = Path(benchmarks.__file__).parent.parent
OUT = ROOT / "benchmarks" / "results" / "gpu"
SECTIONS = ("tests", *NAMES)
SECONDS = {"tests": 270.0, "cells": 180.0, "methods": 60.0, "seeds": 40.0}
START_SECONDS = 60.0  # for the process that describes the machine
JAX_RAM_SHARE = "0.6"  # of the GPU's RAM; PyTorch gets the rest
WRITE_SECONDS = 1.0  # between two writes of the report as long as tests pass


def parse(argv: list[str]) -> argparse.Namespace:
    # Not tyro, as elsewhere, since only JAX may be installed.
    parser = argparse.ArgumentParser(
        "python -m benchmarks.gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=OUT, help="folder for the results")
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=SECTIONS)
    parser.add_argument("--small", action="store_true", help="small sizes, on any device")
    parser.add_argument("--workers", type=int, help="number of test processes")
    for name, seconds in SECONDS.items():
        text = f"time limit in seconds (default {seconds:g})"
        parser.add_argument(f"--{name}-seconds", type=float, default=seconds, help=text)
    given = parser.parse_args(argv)
    if given.workers is not None and given.workers < 1:
        parser.error(f"--workers: expected 1 or more, got {given.workers}")
    return given


class Report:
    """The results so far, and their files."""

    def __init__(self, out: Path, small: bool):
        self._out, self._json = out, out / "results.json"
        files.require_free_or_own(out, "results.json", '"sections"')
        out.mkdir(parents=True, exist_ok=True)
        self.results: dict[str, Any] = {"small": small, "sections": {}}
        if self._json.exists():
            before = json.loads(self._json.read_text(encoding="utf-8"))
            if before.get("small") == small:  # not mixed with results of other sizes
                self.results = before

    def write(self) -> None:
        self.results["sections"] = {
            name: self.results["sections"][name]
            for name in SECTIONS
            if name in self.results["sections"]
        }
        files.write_json(self._json, self.results)
        files.write(self._out / "report.md", tables.render_markdown(self.results))

    def write_failures(self, failures: dict[str, str]) -> None:
        text = "\n".join(f"{'=' * 80}\n{name}\n\n{trace}\n" for name, trace in failures.items())
        files.write(self._out / "failures.txt", text or "No test failed.\n")


def print_line(text: str) -> None:
    print(text, flush=True)


def section_unit(name: str, seconds: float, small: bool) -> Unit:
    sizes = "small" if small else "full"
    command = (sys.executable, "-m", "benchmarks.gpu.section", name, f"{seconds:.0f}", sizes)
    return Unit(name, command)


def describe(folder: Path) -> dict[str, Any]:
    """The environment, from a separate process, so that this one does not occupy the GPU."""
    records: list[dict[str, Any]] = []
    status = processes.run(
        [section_unit("environment", START_SECONDS, True)],
        folder,
        root=ROOT,
        env=os.environ,
        workers=1,
        deadline=time.monotonic() + START_SECONDS,
        on_record=lambda _, record: records.append(record),
    )["environment"]
    if not records:
        raise RuntimeError(f"JAX did not start: {status}")
    return records[0]


def run_tests(report: Report, section: dict[str, Any], folder: Path, **given: Any) -> None:
    if importlib.util.find_spec("pytest") is None:
        section["status"] = "pytest is not installed"
        return
    outcomes, written = suite.Outcomes(print_line), time.monotonic()

    def add(unit: str, record: dict[str, Any]) -> None:
        nonlocal written
        outcomes.add(unit, record)
        failed = record.get("outcome") == "failed"
        if failed or time.monotonic() > written + WRITE_SECONDS:
            section["tests"], written = outcomes.summary(), time.monotonic()
            report.write()
        if failed:
            report.write_failures(outcomes.failures())

    cores = os.cpu_count() or 1
    workers = given["workers"] or max(2, min(12, cores - 2))
    on_gpu = section["environment"]["platform"] == "gpu"
    units = suite.make_units(suite.pytest_arguments(given["small"]))
    section |= {"tests": outcomes.summary(), "units": {}}
    report.write_failures({})
    section["units"] = processes.run(
        units,
        folder,
        root=ROOT,
        env=suite.environment(on_gpu),
        workers=workers,
        deadline=given["deadline"],
        on_record=add,
    )
    section["tests"] = outcomes.summary()
    report.write_failures(outcomes.failures())
    bad = [f"{name}: {status}" for name, status in section["units"].items() if status != DONE]
    section["status"] = "; ".join(bad) or DONE
    tests = section["tests"]
    print_line(f"tests: {tests['ran']} ran, {len(tests['failed'])} failed: {tests['failed']}")


def run_section(
    name: str, report: Report, section: dict[str, Any], folder: Path, **given: Any
) -> None:
    section["records"] = []

    def add(_: str, record: dict[str, Any]) -> None:
        section["records"].append(record)
        report.write()
        print_line(f"{name}: {summary(record)}")

    env = {"XLA_PYTHON_CLIENT_MEM_FRACTION": JAX_RAM_SHARE, **os.environ}
    if given["small"]:  # the times do not matter
        env["XLA_FLAGS"] = f"{env.get('XLA_FLAGS', '')} --xla_backend_optimization_level=0".strip()
    seconds = given["deadline"] - time.monotonic()
    section["status"] = processes.run(
        [section_unit(name, max(seconds, 0.0), given["small"])],
        folder,
        root=ROOT,
        env=env,
        workers=1,
        deadline=given["deadline"],
        on_record=add,
    )[name]


def summary(record: dict[str, Any]) -> str:
    """A line for the terminal: medians in the place of all times."""
    line = {key: value for key, value in record.items() if key not in ("columns", "ms")}
    if "ms" in record:
        line["median_ms"] = round(timing.median(record["ms"]), 3)
    for name, column in record.get("columns", {}).items():
        line[name] = f"{timing.median(column['ms']):.3f} ms"
    return json.dumps(line)


def main(argv: list[str]) -> int:
    """Returns the exit code: 0 if every section finished and every test passed."""
    given = parse(argv)
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(INTERRUPTED)
    )  # as for Ctrl-C, so that the children are killed too
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lstm_jax_gpu_") as scratch:
        try:
            return conduct(given, Path(scratch), start)
        except (RuntimeError, files.RunFolderError) as error:
            print_line(f"error: {error}")
            return 1
        except KeyboardInterrupt:
            print_line(f"stopped; the results so far are in {given.out}")
            return INTERRUPTED


def conduct(given: argparse.Namespace, scratch: Path, start: float) -> int:
    where = describe(scratch / "environment")
    print_line(json.dumps(where))
    if where["platform"] != "gpu" and not given.small:
        raise RuntimeError(
            f"expected a GPU, got {where['device']}; --small rehearses on any device"
        )
    report = Report(given.out, given.small)
    deadline = start
    for name in [name for name in SECTIONS if name in given.sections]:
        deadline += getattr(given, f"{name}_seconds")
        section: dict[str, Any] = {"environment": where, "status": "was running", "records": []}
        report.results["sections"][name] = section
        options = {"small": given.small, "workers": given.workers, "deadline": deadline}
        began = time.monotonic()
        try:
            if name == "tests":
                run_tests(report, section, scratch / name, **options)
            else:
                run_section(name, report, section, scratch / name, **options)
        finally:
            section["seconds"] = round(time.monotonic() - began, 1)
            report.write()
        print_line(f"{name}: {section['status']} after {section['seconds']} s")
    print_line(f"saved in {given.out}")
    ran = [report.results["sections"][name] for name in given.sections]
    failed = any(section.get("tests", {}).get("failed") for section in ran)
    return int(failed or any(section["status"] != DONE for section in ran))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

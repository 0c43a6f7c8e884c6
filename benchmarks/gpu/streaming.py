"""A pytest plugin that writes each outcome at once, as a line of JSON with the full traceback.

    python -m pytest -p benchmarks.gpu.streaming --records outcomes.jsonl tests/...

The lines are ``{"collected": [names]}``, then for each test ``{"started": name}`` and
``{"test": name, "outcome": ..., "seconds": ..., "text": ...}``, so that a run that is killed loses
nothing. JAX is not imported here, since the tests configure it before its first use.
"""

import json
from pathlib import Path
from typing import Any

import pytest


class Stream:
    """The hooks of the plugin."""

    def __init__(self, path: Path):
        self._path = path

    def _write(self, record: dict[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def pytest_collection_finish(self, session: Any) -> None:
        self._write({"collected": [item.nodeid for item in session.items]})

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self._write_report(report, 0.0)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._write({"started": nodeid})

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Writes the outcome of the call, and of setup or teardown if they did not pass."""
        if report.when == "call" or not report.passed:
            self._write_report(report, report.duration)

    def _write_report(self, report: Any, seconds: float) -> None:
        text = "" if report.passed else report.longreprtext
        self._write(
            {
                "test": report.nodeid,
                "outcome": report.outcome,
                "seconds": round(seconds, 3),
                "text": text,
            }
        )


def pytest_addoption(parser: Any) -> None:
    parser.addoption("--records", type=Path, help="file for one line of JSON per outcome")


@pytest.hookimpl(trylast=True)
def pytest_configure(config: Any) -> None:
    path = config.getoption("--records")
    if path is not None:
        config.pluginmanager.register(Stream(path), "lstm_jax_stream")

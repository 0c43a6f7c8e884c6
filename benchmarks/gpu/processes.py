"""Runs processes in parallel until a deadline, and reads the JSON lines that they write at once."""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

POLL_SECONDS = 0.2
LAST_LINES = 40  # of the output of a process that died
DONE, KILLED, NOT_STARTED = "done", "killed: time was up", "not started: time was up"


class Unit(NamedTuple):
    """A command that writes its records to the file that is its last argument."""

    name: str
    command: Sequence[str]
    success_codes: Sequence[int] = (0,)  # exit codes of a process that did its work


class Process:
    """A running unit."""

    def __init__(self, unit: Unit, folder: Path, env: Mapping[str, str], root: Path):
        folder.mkdir(parents=True)
        self.unit, self._records, self._log = unit, folder / "records.jsonl", folder / "log"
        self._read = 0
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*unit.command, str(self._records)],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(env),
                cwd=root,
                start_new_session=True,  # so that its children are killed with it
            )

    def running(self) -> bool:
        return self._process.poll() is None

    def new_records(self) -> Iterator[dict[str, Any]]:
        """The records written since the last call, except for an incomplete last line."""
        if not self._records.exists():
            return
        with self._records.open("rb") as file:
            file.seek(self._read)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._read += len(line)
                yield json.loads(line)

    def status(self) -> str:
        """How the process ended, with its last lines if it died."""
        code = self._process.returncode
        if code in self.unit.success_codes:
            return DONE
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join([f"died: exit code {code}", *lines[-LAST_LINES:]])

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def run(
    units: Sequence[Unit],
    folder: Path,
    *,
    root: Path,
    env: Mapping[str, str],
    workers: int,
    deadline: float,
    on_record: Callable[[str, dict[str, Any]], None],
) -> dict[str, str]:
    """Runs the units in order, and returns how each of them ended.

    Args:
        units: The commands.
        folder: The folder for logs and records.
        root: The working directory.
        env: The environment variables.
        workers: How many units run in parallel.
        deadline: By ``time.monotonic``; units that are still running then are killed.
        on_record: Called with the unit's name and each record, a fraction of a second after it is
            written.
    """
    left, active, statuses = list(enumerate(units)), list[Process](), dict[str, str]()
    try:
        while left or active:
            while left and len(active) < workers and time.monotonic() < deadline:
                number, unit = left.pop(0)
                active.append(Process(unit, folder / str(number), env, root))
            ended = [process for process in active if not process.running()]
            for process in active:
                for record in process.new_records():
                    on_record(process.unit.name, record)
            for process in ended:
                statuses[process.unit.name] = process.status()
                active.remove(process)
            if time.monotonic() >= deadline:
                break
            if not ended:
                time.sleep(POLL_SECONDS)
    finally:
        for process in active:
            process.kill()
            for record in process.new_records():
                on_record(process.unit.name, record)
    statuses |= {process.unit.name: KILLED for process in active}
    return statuses | {unit.name: NOT_STARTED for _, unit in left}

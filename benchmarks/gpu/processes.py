"""Processes side by side until a deadline, with the lines of JSON that each writes read at once."""

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
LAST_LINES = 40  # of what a process printed before it died
DONE, KILLED, NOT_STARTED = "done", "killed: time was up", "not started: time was up"


class Unit(NamedTuple):
    """A command that writes its records to the file whose path ends it."""

    name: str
    command: Sequence[str]
    fine: Sequence[int] = (0,)  # exit codes of a process that did its work


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
                start_new_session=True,  # killed with whatever it started itself
            )

    def running(self) -> bool:
        return self._process.poll() is None

    def new_records(self) -> Iterator[dict[str, Any]]:
        """What was written since the last call; a line that is not whole yet waits."""
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
        """How it ended: with its last lines if it died."""
        code = self._process.returncode
        if code in self.unit.fine:
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
    """Runs the units in their order, ``workers`` at a time: how each ended.

    folder: for logs and records. root: the working directory. deadline: of ``time.monotonic``;
    what still runs then is killed. on_record: gets each record, with its unit's name, within a
    fraction of a second of its being written.
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

"""Several processes of this machine as one job: if one of them fails, all of them end."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

SECONDS_TO_END = 5.0  # for the other processes of a job, after one has failed


class JobFailed(RuntimeError):
    """A process of a job ended with an error, or the job took too long; all of them were ended."""


def launch(
    commands: Sequence[Sequence[str]], logs: Path, *, environment: dict[str, str], timeout: float
) -> None:
    """Runs one process for each command, and waits until all have ended.

    A process that dies leaves the others waiting for it in an exchange of gradients, so the first
    that fails ends them all.

    Args:
        logs: a folder for what each process prints, ``process_0.log`` and so on.
        environment: variables beside those of this process.
        timeout: seconds that the job may take.

    Raises:
        JobFailed: naming the process, with the end of its log.
    """
    logs.mkdir(parents=True, exist_ok=True)
    files = [logs / f"process_{number}.log" for number in range(len(commands))]
    processes: list[subprocess.Popen] = []
    try:
        for command, file in zip(commands, files, strict=True):
            with file.open("w") as output:
                processes.append(
                    subprocess.Popen(
                        command, stdout=output, stderr=subprocess.STDOUT,
                        env={**os.environ, **environment},
                    )
                )  # fmt: skip
        deadline = time.monotonic() + timeout
        while any(process.poll() is None for process in processes):
            for number, process in enumerate(processes):
                if process.poll() not in (None, 0):
                    raise JobFailed(_failure(number, process.returncode, files[number]))
            if time.monotonic() > deadline:
                raise JobFailed(f"the job took longer than {timeout:g} seconds")
            time.sleep(0.05)
        for number, process in enumerate(processes):
            if process.returncode:
                raise JobFailed(_failure(number, process.returncode, files[number]))
    finally:
        _end(processes)


def _failure(number: int, code: int, log: Path) -> str:
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    lines = log.read_text(errors="replace").splitlines()
    lines = [line for line in lines if line.strip() and not line.startswith("    @")]  # C++ frames
    return "\n  ".join([f"process {number} ended with {how}", *lines[-5:]])


def _end(processes: list[subprocess.Popen]) -> None:
    """Ends all processes that still run: JAX catches SIGTERM, so that SIGKILL has to follow."""
    for process in processes:
        if process.poll() is None:
            process.terminate()
    deadline = time.monotonic() + SECONDS_TO_END
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return found.getsockname()[1]

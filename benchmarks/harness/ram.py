"""Peak memory of forward and backward, each contender in a process of its own.

The process is what the system sees of it, so XLA and PyTorch are measured alike: by how much the
resident memory rises above what it was with weights and inputs in place. In these processes the
allocator gives memory back, or what the compiler left would hide the rise.
"""

import contextlib
import ctypes
import gc
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.peers import entrants

SHAPE = "64x784x1x128"
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def measure(cell: str, peers: tuple[str, ...]) -> dict[str, Any]:
    """The rise in bytes by contender; None where this system does not tell."""
    rises = {name: in_a_process(name, cell) for name in entrants(peers, cell)}
    return {"cell": cell, "shape": SHAPE, "peak_bytes": rises}


def in_a_process(name: str, cell: str, shape: str = SHAPE) -> int | None:
    command = [sys.executable, "-m", "benchmarks.harness.ram", name, cell, shape]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def rise(name: str, cell: str, shape: str) -> int | None:
    """Bytes by which one call of forward and backward raises this process's resident memory."""
    from benchmarks.harness.build import build
    from benchmarks.harness.work import Shape, make

    build(name, make(cell, Shape(2, 3, 4, 5), 1)).both()  # libraries load, threads start
    ready = build(name, make(cell, Shape.parse(shape), 1))
    gc.collect()
    give_back_freed_memory()
    before = reset_peak()
    if before is None:
        return None
    kept = ready.both()  # gradients count as long as they are held
    peak = status("VmHWM")
    del kept
    return None if peak is None else peak - before


def reset_peak() -> int | None:
    """The peak starts again from the resident memory, whose bytes are returned; None: cannot."""
    try:
        CLEAR.write_text("5")
    except OSError:
        return None
    return status("VmRSS")


def status(field: str) -> int | None:
    """Bytes, of a line such as "VmHWM:     1234 kB"."""
    try:
        lines = STATUS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith(f"{field}:")]
    return 1024 * int(found[0]) if found else None


def give_back_freed_memory() -> None:
    with contextlib.suppress(OSError, TypeError, AttributeError):  # not glibc
        ctypes.CDLL(None).malloc_trim(0)


if __name__ == "__main__":
    print(json.dumps(rise(*sys.argv[1:4])))

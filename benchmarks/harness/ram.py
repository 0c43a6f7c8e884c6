"""Peak RAM of forward and backward, each contender in its own process.

XLA and PyTorch are measured alike, by what the system reports for the process: how far its resident
set rises above its size with weights and inputs in place. In these processes the allocator returns
freed memory to the system; otherwise pages left over from compiling would hide the rise.
"""

import contextlib
import ctypes
import gc
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.peers import contenders

SHAPE = "64x784x1x128"
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def measure(cell: str, peers: tuple[str, ...]) -> dict[str, Any]:
    """The rise in bytes by contender; None if this system does not report it."""
    rises = {name: measure_in_subprocess(name, cell) for name in contenders(peers, cell)}
    return {"cell": cell, "shape": SHAPE, "peak_bytes": rises}


def measure_in_subprocess(name: str, cell: str, shape: str = SHAPE) -> int | None:
    command = [sys.executable, "-m", "benchmarks.harness.ram", name, cell, shape]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def measure_rise(name: str, cell: str, shape: str) -> int | None:
    """Bytes by which one call of forward and backward raises this process's resident set."""
    from benchmarks.harness.build import build
    from benchmarks.harness.work import Shape, make

    build(name, make(cell, Shape(2, 3, 4, 5), 1)).both()  # loads libraries and starts threads
    ready = build(name, make(cell, Shape.parse(shape), 1))
    gc.collect()
    trim_heap()
    before = reset_peak()
    if before is None:
        return None
    gradients = ready.both()  # which count as long as they are referenced
    peak = read_status("VmHWM")
    del gradients
    return None if peak is None else peak - before


def reset_peak() -> int | None:
    """Resets the peak to the current resident set and returns that; None if it cannot be reset."""
    try:
        CLEAR.write_text("5")
    except OSError:
        return None
    return read_status("VmRSS")


def read_status(field: str) -> int | None:
    """The bytes in the line of ``field``, such as "VmHWM:     1234 kB"."""
    try:
        lines = STATUS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith(f"{field}:")]
    return 1024 * int(found[0]) if found else None


def trim_heap() -> None:
    """Returns freed memory to the system."""
    with contextlib.suppress(OSError, TypeError, AttributeError):  # not glibc
        ctypes.CDLL(None).malloc_trim(0)


if __name__ == "__main__":
    print(json.dumps(measure_rise(*sys.argv[1:4])))

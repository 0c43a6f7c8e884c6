"""The machine that the numbers were measured on."""

import os
import platform
from pathlib import Path

INTERRUPTED = 130  # what a shell reports for Ctrl-C


def describe() -> dict[str, str | int]:
    return {
        "processor": processor(),
        "cores": os.cpu_count() or 1,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def processor() -> str:
    """The processor's name, from Linux if possible and otherwise from Python."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def use_all_cores() -> None:
    """Makes each core a device of JAX, and turns off the compilation cache, so that compile times
    are real; to be called before JAX is used."""
    import jax

    import lstm_jax as lj

    lj.use_cpu_cores()
    jax.config.update("jax_enable_compilation_cache", False)

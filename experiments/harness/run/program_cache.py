"""Compiled programs, kept in the user's cache folder for the next start.

A run that is killed and started again then compiles nothing twice. A program from the cache gives
the same bits as one that was compiled anew on this machine.
"""

import contextlib
import hashlib
import importlib
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import pooch
from jax.experimental.compilation_cache import compilation_cache

LIMIT = 512 * 2**20  # bytes; a program of an experiment takes some 100 kB
# JAX's own options, which it reads from the environment in capitals.
ON, FOLDER = "jax_enable_compilation_cache", "jax_compilation_cache_dir"
THRESHOLD = "jax_persistent_cache_min_compile_time_secs"


@contextlib.contextmanager
def cache(*, off: bool = False) -> Iterator[None]:
    """Within the block, JAX looks for programs in the cache before it compiles them; ``off``: it
    does not.

    The folder is JAX_COMPILATION_CACHE_DIR where that is set, and else lstm_jax/programs in the
    user's cache. JAX_ENABLE_COMPILATION_CACHE=false turns the cache off too. A folder that cannot
    be written to is a warning on stderr.
    """
    changes = {ON: False} if off else choices()
    before = {name: value(name) for name in changes}
    configure(changes)
    try:
        yield
    finally:
        configure(before)


def choices() -> dict[str, Any]:
    """What JAX is told of the cache: nothing that the user has told it already."""
    if not value(ON):
        return {}
    chosen: dict[str, Any] = {}
    if value(FOLDER) is None:
        folder = default_folder()
        try:
            tidy(folder)
        except OSError as error:
            print(f"compiled programs are not kept: {folder} cannot be written to "
                  f"({error.strerror})", file=sys.stderr)  # fmt: skip
            return {}
        chosen[FOLDER] = str(folder)
    if THRESHOLD.upper() not in os.environ:
        chosen[THRESHOLD] = 0.0  # starting a run takes many small programs
    return chosen


def value(name: str) -> Any:
    return getattr(jax.config, name)


def configure(values: dict[str, Any]) -> None:
    for name, value in values.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()  # JAX remembers the folder in which it looked first


def default_folder() -> Path:
    """One folder for each kind of processor, since homes are shared between machines and programs
    are not."""
    return Path(pooch.os_cache("lstm_jax")).absolute() / "programs" / processor()


def processor() -> str:
    """A short name of this machine's kind of processor and its instructions."""
    told = [platform.system(), platform.machine(), platform.processor()]
    listing = Path("/proc/cpuinfo")  # on Linux
    if listing.exists():
        lines = listing.read_text(encoding="utf-8", errors="replace").splitlines()
        names = ("model name", "flags", "Features", "CPU part", "isa")
        told += sorted({line for line in lines if line.partition("\t")[0].strip() in names})
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]


def tidy(folder: Path, limit: int = LIMIT) -> None:
    """Makes the folder ready: removes programs that a killed process wrote in part, which JAX
    would neither read nor replace, and of the others the longest unused, until the rest takes no
    more than ``limit`` bytes. Raises OSError where the folder cannot be written to."""
    folder.mkdir(parents=True, exist_ok=True)
    stamp = folder / "tidied"
    tidied = stamp.stat().st_mtime_ns if stamp.exists() else 0
    stamp.touch()
    entries = []
    for file in folder.glob("*-cache"):
        with contextlib.suppress(FileNotFoundError):  # another process tidies up too
            status = file.stat()
            if status.st_mtime_ns >= tidied and not is_whole(file):
                file.unlink()
                continue
            entries.append((max(status.st_atime, status.st_mtime), status.st_size, file))
    total = sum(size for _, size, _ in entries)
    for _, size, file in sorted(entries):
        if total <= limit:
            break
        file.unlink(missing_ok=True)
        total -= size


def is_whole(file: Path) -> bool:
    """Whether what JAX has packed can be unpacked, with whichever of these it had."""
    packed = file.read_bytes()
    for name, error in (("zlib", "error"), ("zstandard", "ZstdError"),
                        ("compression.zstd", "ZstdError")):  # fmt: skip
        with contextlib.suppress(ImportError):
            module = importlib.import_module(name)
            with contextlib.suppress(getattr(module, error)):
                module.decompress(packed)
                return True
    return False

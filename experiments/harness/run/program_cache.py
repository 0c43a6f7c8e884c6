"""A cache of compiled programs in the user's cache folder.

With it, a run that is killed and started again compiles nothing twice. A program from the cache
gives exactly the same numbers as one that is compiled anew on this machine.
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

LIMIT = 512 * 2**20  # bytes; a program of an experiment takes about 100 kB
# JAX's own options; as environment variables, their names are in capitals.
ON, FOLDER = "jax_enable_compilation_cache", "jax_compilation_cache_dir"
THRESHOLD = "jax_persistent_cache_min_compile_time_secs"


@contextlib.contextmanager
def cache(*, off: bool = False) -> Iterator[None]:
    """Within this context, JAX looks for programs in the cache before it compiles them.

    The folder is JAX_COMPILATION_CACHE_DIR if that is set, and otherwise lstm_jax/programs in the
    user's cache folder. If it cannot be written to, a warning goes to stderr and nothing is cached.

    Args:
        off: Turns the cache off, as JAX_ENABLE_COMPILATION_CACHE=false does.
    """
    changes = {ON: False} if off else cache_options()
    before = {name: jax_option(name) for name in changes}
    set_jax_options(changes)
    try:
        yield
    finally:
        set_jax_options(before)


def cache_options() -> dict[str, Any]:
    """The options of JAX's cache, except those that the user has already set."""
    if not jax_option(ON):
        return {}
    chosen: dict[str, Any] = {}
    if jax_option(FOLDER) is None:
        folder = default_folder()
        try:
            tidy(folder)
        except OSError as error:
            print(f"compiled programs are not cached: {folder} cannot be written to "
                  f"({error.strerror})", file=sys.stderr)  # fmt: skip
            return {}
        chosen[FOLDER] = str(folder)
    if THRESHOLD.upper() not in os.environ:
        chosen[THRESHOLD] = 0.0  # starting a run compiles many small programs
    return chosen


def jax_option(name: str) -> Any:
    return getattr(jax.config, name)


def set_jax_options(values: dict[str, Any]) -> None:
    for name, value in values.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()  # JAX remembers the first folder


def default_folder() -> Path:
    """One folder per kind of processor, since a home directory may be shared between machines that
    cannot run each other's programs."""
    return Path(pooch.os_cache("lstm_jax")).absolute() / "programs" / processor_id()


def processor_id() -> str:
    """A short identifier of the processor's kind and its instruction set."""
    facts = [platform.system(), platform.machine(), platform.processor()]
    listing = Path("/proc/cpuinfo")  # on Linux
    if listing.exists():
        lines = listing.read_text(encoding="utf-8", errors="replace").splitlines()
        names = ("model name", "flags", "Features", "CPU part", "isa")
        facts += sorted({line for line in lines if line.partition("\t")[0].strip() in names})
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]


def tidy(folder: Path, limit: int = LIMIT) -> None:
    """Creates the folder, or cleans it up.

    Removes programs that a killed process wrote only in part, which JAX would neither read nor
    replace, and then the longest unused ones until the rest takes at most ``limit`` bytes.

    Raises:
        OSError: if the folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stamp = folder / "tidied"
    tidied = stamp.stat().st_mtime_ns if stamp.exists() else 0
    stamp.touch()
    entries = []
    for file in folder.glob("*-cache"):
        with contextlib.suppress(FileNotFoundError):  # another process may be cleaning up too
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
    """Whether the file can be decompressed by one of the libraries that JAX may have used."""
    packed = file.read_bytes()
    for name, error in (("zlib", "error"), ("zstandard", "ZstdError"),
                        ("compression.zstd", "ZstdError")):  # fmt: skip
        with contextlib.suppress(ImportError):
            module = importlib.import_module(name)
            with contextlib.suppress(getattr(module, error)):
                module.decompress(packed)
                return True
    return False

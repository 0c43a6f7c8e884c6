"""Atomic writes: a file is complete or absent, whatever happens while it is written.

The new file is written under a temporary name beside the old one, flushed to the disk, and renamed.
A killed process leaves a file whose name ends in ``PART``; the next write removes it, unless a
process is still writing it.
"""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

try:
    import fcntl
except ImportError:  # on Windows, where an open file cannot be removed anyway
    fcntl = None  # type: ignore[assignment]

PART = ".lstm_jax-part"


@contextlib.contextmanager
def replacing(path: str | Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """A context manager that opens a file to replace ``path`` when the block ends.

    If the block or the disk raises, ``path`` stays as it was and nothing is left beside it.

    Args:
        path: The file to replace, which need not exist.
        mode: "wb" for bytes, "w" for text in UTF-8.

    Raises:
        OSError: If the file cannot be written.
    """
    path = Path(path)
    remove_parts(path)
    aside = part_of(path)
    try:
        encoding = None if "b" in mode else "utf-8"
        with aside.open(mode.replace("w", "x"), encoding=encoding) as file:
            claim(file)
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise
    sync(path.parent)


def part_of(path: Path) -> Path:
    """A new temporary name beside ``path``, of the form that ``is_part`` recognises."""
    return path.with_name(f"{path.name}.{secrets.token_hex(4)}{PART}")


def is_part(entry: Path, name: str) -> bool:
    """Whether ``entry`` has a temporary name of the file ``name``."""
    token = entry.name.removeprefix(name + ".").removesuffix(PART)
    hexadecimal = len(token) == 8 and set(token) <= set("0123456789abcdef")
    return hexadecimal and entry.name == f"{name}.{token}{PART}"


def remove_parts(path: Path) -> None:
    """Removes what killed processes left beside ``path``."""
    with contextlib.suppress(OSError):  # such as a missing folder
        for entry in path.parent.iterdir():
            if is_part(entry, path.name) and not entry.is_symlink() and entry.is_file():
                with contextlib.suppress(OSError):
                    if not is_claimed(entry):
                        entry.unlink()


def claim(file: IO[Any]) -> None:
    """Locks an open file until it is closed or the process ends."""
    if fcntl is not None:
        with contextlib.suppress(OSError):  # some file systems have no locks
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_claimed(path: Path) -> bool:
    """Whether a process holds the lock of the file, and so is writing it."""
    if fcntl is None:
        return False
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def sync(folder: Path) -> None:
    """Flushes the names in the folder to the disk, so that a rename survives a loss of power."""
    if os.name == "nt":  # Windows does not open folders
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

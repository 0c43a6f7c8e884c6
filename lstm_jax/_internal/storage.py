"""Files that are there whole or not at all, whatever happens while they are written.

Each is written to a name of its own beside the old one, flushed to the disk, and renamed. What a
killed process leaves has a name that ends in ``PART``, and goes with the next write; that of a
process which is still writing is left alone.
"""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

try:
    import fcntl
except ImportError:  # not on Windows, where a file that is open cannot be removed
    fcntl = None  # type: ignore[assignment]

PART = ".lstm_jax-part"


@contextlib.contextmanager
def replacing(path: str | Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """A file to write, which takes the place of ``path`` when the block ends.

    mode: "wb" for bytes, "w" for text in UTF-8. Where the block or the disk raises, ``path`` stays
    as it was and nothing is left beside it. Raises OSError where it cannot be written.
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
    """A new name beside ``path``, of the form that ``is_part`` knows."""
    return path.with_name(f"{path.name}.{secrets.token_hex(4)}{PART}")


def is_part(entry: Path, name: str) -> bool:
    """Whether the entry is named as a half-written ``name``."""
    token = entry.name.removeprefix(name + ".").removesuffix(PART)
    hexadecimal = len(token) == 8 and set(token) <= set("0123456789abcdef")
    return hexadecimal and entry.name == f"{name}.{token}{PART}"


def remove_parts(path: Path) -> None:
    """Removes what killed processes left of ``path``."""
    with contextlib.suppress(OSError):  # such as a folder that is not there
        for entry in path.parent.iterdir():
            if is_part(entry, path.name) and not entry.is_symlink() and entry.is_file():
                with contextlib.suppress(OSError):
                    if not is_claimed(entry):
                        entry.unlink()


def claim(file: IO[Any]) -> None:
    """Marks an open file as being written, until it is closed or the process ends."""
    if fcntl is not None:
        with contextlib.suppress(OSError):  # file systems without locks
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_claimed(path: Path) -> bool:
    """Whether a process is writing the file."""
    if fcntl is None:
        return False
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def sync(folder: Path) -> None:
    """Has the names in the folder on the disk, so that a rename outlives a loss of power."""
    if os.name == "nt":  # which opens no folders
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

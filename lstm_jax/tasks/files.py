"""Published files of real data: found in a folder, or downloaded once, and checked."""

import gzip
import hashlib
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue

FOLDER_VARIABLE = "LSTM_JAX_DATA"


class Published(NamedTuple):
    """The files of one data set.

    task: whose they are, for errors and the cache. folder: where they stand in the folder that
    the environment variable LSTM_JAX_DATA names. address: of all of them, without their names.
    checksums: SHA-256 by name.
    """

    task: str
    folder: str
    address: str
    checksums: Mapping[str, str]


def find(
    name: str,
    published: Published,
    folder: str | os.PathLike | None = None,
    verify: bool = True,
) -> Path:
    """The path of one of the files.

    folder: has the files. None: ``published.folder`` in the one that LSTM_JAX_DATA names; where
        that is not set, the file is downloaded once, into the user's cache.
    verify: compare its SHA-256 with the published one. Downloads always are.

    Raises FileNotFoundError for a missing file, ValueError for one that is not the published one,
    OSError where the download fails, and ImportError where it is needed and pooch is missing.
    """
    checking.choice("name", name, published.checksums)
    if folder is None:
        data = os.environ.get(FOLDER_VARIABLE)
        if not data:
            return download(name, published)
        folder = Path(data) / published.folder
    path = Path(folder) / name
    if not path.is_file():
        raise FileNotFoundError(
            f"folder: expected the files {', '.join(published.checksums)} in it, got no file {path}"
        )
    expected = published.checksums[name]
    if verify and (got := hashlib.sha256(path.read_bytes()).hexdigest()) != expected:
        raise WrongValue(
            f"folder: expected the published {name} of SHA-256 {expected} (or verify=False), "
            f"got {path} of {got}"
        )
    return path


def download(name: str, published: Published) -> Path:
    """The path of a published file in the user's cache, fetched if it is not there."""
    task, instead = published.task, f"or set {FOLDER_VARIABLE} to a folder whose folder "
    instead += f"{published.folder} has {name}"
    try:
        import pooch
    except ImportError:
        raise ImportError(
            f"{task}: the download needs pooch; pip install 'lstm_jax[experiments]', {instead}"
        ) from None
    cache, known = pooch.os_cache("lstm_jax") / task, f"sha256:{published.checksums[name]}"
    try:
        return Path(pooch.retrieve(published.address + name, known, name, cache))
    except OSError as error:
        raise OSError(
            f"{task}: no {name} from {published.address} ({error}); try again, {instead}"
        ) from None


def unpacked(path: Path, what: str) -> bytes:
    """What a gzip file holds. Raises ValueError, with ``what`` it should, for anything else."""
    try:
        return gzip.decompress(path.read_bytes())
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise WrongValue(f"{path}: expected a gzip file of {what}, got {error}") from None

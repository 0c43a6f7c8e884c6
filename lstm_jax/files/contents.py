"""What a file holds: arrays by name and texts by name, with a checksum over both."""

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from lstm_jax._internal import storage
from lstm_jax._internal.extras import require_extra

FORMAT = 1  # what this version writes; it reads all up to this one
CHECKSUM = "sha256"
DTYPES = {"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64",
          "I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64", "U8": "uint8",
          "U16": "uint16", "U32": "uint32", "U64": "uint64", "BOOL": "bool"}  # fmt: skip


class FileError(ValueError):
    """A file is damaged, was not written by ``lj.save``, or cannot be read or written here."""


class Contents(NamedTuple):
    """What a file holds."""

    arrays: dict[str, np.ndarray]
    texts: dict[str, str]


def write(path: Path, contents: Contents) -> None:
    """Writes the file. Whatever happens, ``path`` is the previous file or the new one."""
    numpy = require_extra("safetensors.numpy", "safetensors", "lj.save")
    arrays = {name: np.asarray(array, order="C") for name, array in contents.arrays.items()}
    texts = {"format": "lstm_jax", "format_version": str(FORMAT), **contents.texts}
    checked = texts | {CHECKSUM: checksum(Contents(arrays, texts))}
    data = numpy.save(arrays, metadata=checked)
    if path.is_dir():
        raise FileError(f"{path}: not written: expected the path of a file, got a folder")
    try:
        with storage.replacing(path) as file:
            file.write(data)
    except OSError as error:
        raise FileError(f"{path}: not written: {error.strerror}") from error


def read(path: Path) -> Contents:
    """Reads a file that ``write`` wrote.

    Raises:
        FileError: For every other file.
    """
    safetensors = require_extra("safetensors", "safetensors", "lj.load")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FileError(f"{path}: not read: {error.strerror}") from error
    try:
        tensors = safetensors.deserialize(data)
        size = int.from_bytes(data[:8], "little")
        texts = json.loads(data[8 : 8 + size]).get("__metadata__", {})
        arrays = {name: _as_array(tensor) for name, tensor in tensors}
    except Exception as error:  # safetensors has errors of its own, which derive from Exception
        raise FileError(
            f"{path}: expected a safetensors file, got one that is damaged or of another kind "
            f"({error})"
        ) from None
    require_own(path, texts)
    written = texts.pop(CHECKSUM)
    if checksum(Contents(arrays, texts)) != written:
        raise FileError(f"{path}: damaged: its contents do not have the checksum {written[:12]}...")
    return Contents(arrays, texts)


def require_own(path: Path, texts: dict[str, str]) -> None:
    """Raises FileError unless the texts are those of a file that this version can read."""
    version = texts.get("format_version", "")
    if texts.get("format") != "lstm_jax" or CHECKSUM not in texts or not version.isdecimal():
        raise FileError(
            f"{path}: expected a file written by lj.save, got safetensors "
            f"{'without its metadata' if texts else 'without metadata'}"
        )
    if int(version) > FORMAT:
        raise FileError(
            f"{path}: expected format {FORMAT} or an earlier one, got {version}, written by "
            f"lstm_jax {texts.get('lstm_jax', 'of a later version')}; install a later version"
        )


def checksum(contents: Contents) -> str:
    """SHA-256 over all texts and arrays: against damage, not against forgery.

    It covers what a reader sees and not the bytes of the file, so that a tool that rewrites the
    file in another order keeps it valid.
    """
    digest = hashlib.sha256()

    def add(part: bytes) -> None:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)

    add(json.dumps(contents.texts, sort_keys=True).encode())
    for name, array in sorted(contents.arrays.items()):
        add(json.dumps([name, array.dtype.name, array.shape]).encode())
        add(array.tobytes())
    return digest.hexdigest()


def _as_array(tensor: dict[str, Any]) -> np.ndarray:
    dtype = jnp.dtype(DTYPES[tensor["dtype"]])
    return np.frombuffer(tensor["data"], dtype).reshape(tensor["shape"])

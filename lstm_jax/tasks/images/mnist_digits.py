"""MNIST: the files of the handwritten digits."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32, UInt8

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.tasks import files

CLASSES = 10
SIDE = 28  # pixels
PUBLISHED = files.Published(
    task="mnist",
    folder="mnist",
    address="https://storage.googleapis.com/cvdf-datasets/mnist/",
    checksums={
        "train-images-idx3-ubyte.gz": (
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
        ),
        "train-labels-idx1-ubyte.gz": (
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
        ),
        "t10k-images-idx3-ubyte.gz": (
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
        ),
        "t10k-labels-idx1-ubyte.gz": (
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
        ),
    },
)


class Mnist(NamedTuple):
    """The digits, row by row, in the files' order.

    Pixels are 0 (paper) to 255 (ink), row by row from the top left.
    """

    train_pixels: UInt8[np.ndarray, "N 784"]
    train_classes: Int32[np.ndarray, "N"]
    test_pixels: UInt8[np.ndarray, "M 784"]
    test_classes: Int32[np.ndarray, "M"]


def mnist(*, folder: str | os.PathLike[str] | None = None, verify: bool = True) -> Mnist:
    """The handwritten digits of LeCun et al. 1998, "Gradient-based learning applied to document
    recognition": 28 by 28 pixels, 60,000 to train on and 10,000 for the test, by other writers.

    As finite data, read a row of pixels at each step:

        data = mnist()
        rows = data.train_pixels.reshape(-1, 28, 28) / np.float32(255)  # [N, T, D]

    ``sequential_mnist`` makes a ``Task`` of the same files.

    Args:
        folder: has the four files. None: the folder ``mnist`` in the one that LSTM_JAX_DATA names,
            or a download, as in ``files.find``.
        verify: compare the files' SHA-256 with the published ones. Downloads always are compared.

    Raises:
        FileNotFoundError, ValueError, OSError, ImportError: as ``files.find``; ValueError for
            malformed files too.
    """
    verify = checking.flag("verify", verify)
    return Mnist(*load("train", folder, verify), *load("t10k", folder, verify))


def load(
    part: str, folder: str | os.PathLike[str] | None, verify: bool
) -> tuple[UInt8[np.ndarray, "N 784"], Int32[np.ndarray, "N"]]:
    """The pixels of "train" or "t10k", and the classes."""
    paths = [
        files.find(f"{part}-{what}-ubyte.gz", PUBLISHED, folder, verify)
        for what in ("images-idx3", "labels-idx1")
    ]
    images, labels = (read(path, rank) for path, rank in zip(paths, (3, 1), strict=True))
    if images.shape[1:] != (SIDE, SIDE) or len(images) != len(labels):
        raise WrongValue(
            f"{paths[0]}: expected shape [N, {SIDE}, {SIDE}], and N classes in {paths[1].name}, "
            f"got shape {images.shape}, and {len(labels)} classes"
        )
    if labels.size == 0 or labels.max() >= CLASSES:
        got = f"{labels.max()}" if labels.size else "none"
        raise WrongValue(f"{paths[1]}: expected classes from 0 to {CLASSES - 1}, got {got}")
    return images.reshape(len(images), SIDE**2), labels.astype(np.int32)


def read(path: Path, rank: int) -> np.ndarray:
    """The bytes of a gzip file in the idx format, an array of ``rank`` axes: two zeros, 8 for
    bytes, the rank, the axes' sizes (four bytes each, the largest first), and the values."""
    data = files.unpack(path, f"an idx array of bytes with {rank} axes")
    header = 4 + 4 * rank
    shape = tuple(map(int, np.frombuffer(data[4:header], ">u4"))) if len(data) >= header else (-1,)
    if data[:4] != bytes((0, 0, 8, rank)) or len(data) - header != np.prod(shape):
        raise WrongValue(
            f"{path}: expected a gzip file of an idx array of bytes with {rank} axes, "
            f"got {len(data)} bytes that start with {data[:header].hex()}"
        )
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)

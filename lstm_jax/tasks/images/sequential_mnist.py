"""Sequential and permuted MNIST: handwritten digits, read one pixel at a time."""

import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt8

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.tasks import files
from lstm_jax.tasks.classes import accuracy_score, cross_entropy, lookup_accuracy, majority_accuracy
from lstm_jax.tasks.rows import sample_rows
from lstm_jax.tasks.settings import under_default_settings
from lstm_jax.tasks.task import Batch, Task

CLASSES = 10
SIDE = 28  # pixels
PUBLISHED = files.Published(
    task="sequential_mnist",
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


@under_default_settings
def sequential_mnist(
    permuted: bool = False,
    *,
    rows: bool = False,
    validation: int = 5000,
    permutation_seed: int = 0,
    folder: str | os.PathLike | None = None,
    verify: bool = True,
) -> Task:
    """The pixel-by-pixel MNIST of Le, Jaitly & Hinton 2015, "A simple way to initialize recurrent
    networks of rectified linear units", section 4.2; the digits are those of LeCun et al. 1998.

        step       0    ...  152   153   154  ...  783
        pixel      0         0.01  0.07  0.07      0
        class                                      5

    60,000 digits to train on, of which the last ``validation`` in the file's order are held back,
    and 10,000 for the test. Pixels come row by row from the top left, scaled from 0..255 to
    [0, 1]: inputs ``[784, B, 1]``, classes ``[B]`` asked for at the last step. Loss:
    cross-entropy in nats. Score: accuracy; chance is the share of the commonest class in the
    test part, and the best memoryless answer the commonest class of the training digits with the
    same last step. There is no criterion of success; papers report the accuracy.

    The training digits, 43 MB, stay on the device as bytes. A jitted function that calls
    ``sample`` holds them as a constant of its own, and takes a second or more longer to compile
    on a CPU. JAX passes them as an argument instead, at no such cost, if the environment has
    JAX_USE_SIMPLIFIED_JAXPR_CONSTANTS=1 before it is imported (jax 0.10.2).

    Args:
        permuted: reorder the pixels, in all digits alike, so that neighbours stand far apart in
            time.
        rows: read a row of 28 pixels at each step instead, inputs ``[28, B, 28]``: another and
            easier task, whose scores are not those of the pixels. Not with ``permuted``.
        validation: the number of training digits that are held back.
        permutation_seed: of NumPy's ``RandomState``, whose numbers are the same in all versions.
            Papers do not give theirs.
        folder, verify: the four files of MNIST, as in ``files.find``; the folder in LSTM_JAX_DATA
            is ``mnist``.

    Raises:
        FileNotFoundError, ValueError, OSError, ImportError: as ``files.find``; ValueError for
            malformed files too.
    """
    permuted, rows = checking.flag("permuted", permuted), checking.flag("rows", rows)
    validation = checking.positive_int("validation", validation)
    if permuted and rows:
        raise WrongValue("rows: expected False with permuted, got True")
    permutation_seed = checking.seed("permutation_seed", permutation_seed, 2**32)
    order = np.random.RandomState(permutation_seed).permutation(SIDE**2) if permuted else None
    pixels, classes = load("train", folder, verify, order)
    test_pixels, test_classes = load("t10k", folder, verify, order)
    count = len(classes) - validation
    if count < 1:
        raise WrongValue(
            f"validation: expected fewer than the {len(classes)} training digits, got {validation}"
        )
    width = SIDE if rows else 1
    train_pixels, train_classes = jnp.asarray(pixels[:count]), jnp.asarray(classes[:count])

    def take(rows: jax.Array) -> Batch:
        return Batch(as_steps(train_pixels[rows], width), train_classes[rows])

    options = [
        *(["permuted"] if permuted else []),
        *([f"permutation_seed={permutation_seed}"] if permuted and permutation_seed else []),
        *(["rows"] if rows else []),
        *([f"validation={validation}"] if validation != 5000 else []),
    ]
    last_step = [
        (images[:, -width:], labels)
        for images, labels in ((pixels[:count], classes[:count]), (test_pixels, test_classes))
    ]
    return Task(
        name="sequential_mnist" + (f"({', '.join(options)})" if options else ""),
        input_size=width,
        output_size=CLASSES,
        sample=sample_rows(count, take),
        validation=Batch(
            as_steps(jnp.asarray(pixels[count:]), width), jnp.asarray(classes[count:])
        ),
        test=Batch(as_steps(jnp.asarray(test_pixels), width), jnp.asarray(test_classes)),
        loss=cross_entropy,
        score=accuracy_score(majority_accuracy(test_classes), lookup_accuracy(*last_step)),
    )


def as_steps(pixels: UInt8[Array, "B 784"], width: int) -> Float[Array, "T B {width}"]:
    """``width`` pixels per step, time first, in [0, 1]."""
    steps = pixels.reshape(len(pixels), -1, width).swapaxes(0, 1)
    return steps.astype(jnp.float32) / 255


def load(
    part: str, folder: str | os.PathLike | None, verify: bool, order: np.ndarray | None
) -> tuple[UInt8[np.ndarray, "N 784"], Int[np.ndarray, "N"]]:
    """The pixels of "train" or "t10k", in ``order`` if it is given, and the classes."""
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
    pixels = images.reshape(len(images), SIDE**2)
    return pixels if order is None else pixels[:, order], labels.astype(np.int32)


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

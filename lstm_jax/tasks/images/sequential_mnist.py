"""Sequential and permuted MNIST: handwritten digits, read one pixel at a time."""

import os

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.tasks.classes import accuracy_score, cross_entropy, lookup_accuracy, majority_accuracy
from lstm_jax.tasks.images.mnist_digits import CLASSES, SIDE, mnist
from lstm_jax.tasks.rows import sample_rows
from lstm_jax.tasks.settings import under_default_settings
from lstm_jax.tasks.task import Batch, Task


@under_default_settings
def sequential_mnist(
    permuted: bool = False,
    *,
    rows: bool = False,
    validation: int = 5000,
    permutation_seed: int = 0,
    folder: str | os.PathLike[str] | None = None,
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
    pixels, classes, test_pixels, test_classes = mnist(folder=folder, verify=verify)
    if permuted:
        order = np.random.RandomState(permutation_seed).permutation(SIDE**2)
        pixels, test_pixels = pixels[:, order], test_pixels[:, order]
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

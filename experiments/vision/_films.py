"""Shared by the experiments on films: the moving digits, and nets that read and continue them."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import lstm_jax as lj
from lstm_jax import tasks, train
from lstm_jax.core.recipes import factory

PARTS = ("train", "validation", "test")


class Films(NamedTuple):
    """Films of the three parts."""

    train: tasks.images.MovingDigits
    validation: tasks.images.MovingDigits
    test: tasks.images.MovingDigits


def load(
    counts: tuple[int, int, int], digits: int, side: int, frames: int, held_out: int = 5000
) -> Films:
    """Films of moving digits, so many of each part; the files are read once."""
    data = tasks.images.mnist()
    return Films(
        *(
            tasks.images.moving_digits(
                part, count, digits=digits, side=side, frames=frames, held_out=held_out, data=data
            )
            for part, count in zip(PARTS, counts, strict=True)
        )
    )


def continuations(films: tasks.images.MovingDigits, seen: int) -> train.Dataset:
    """The first ``seen`` frames as inputs ``[N, T, S, S]``, and the others as targets, flat.

    Inputs are bytes; a net divides them by 255, as the targets are.
    """
    count, frames = films.frames.shape[:2]
    targets = films.frames[:, seen:].reshape(count, frames - seen, -1) / np.float32(255)
    return train.Dataset(films.frames[:, :seen], targets)


def cut_patches(frames: jax.Array, patch: int) -> jax.Array:
    """Frames ``[..., S, S]`` as places of patches, ``[..., S / patch, S / patch, patch^2]``."""
    *rows, side, _ = frames.shape
    n = side // patch
    blocks = frames.reshape(*rows, n, patch, n, patch)
    return jnp.swapaxes(blocks, -3, -2).reshape(*rows, n, n, patch * patch)


def join_patches(patches: jax.Array, patch: int) -> jax.Array:
    """The inverse of ``cut_patches``."""
    *rows, n, _, _ = patches.shape
    blocks = patches.reshape(*rows, n, n, patch, patch)
    return jnp.swapaxes(blocks, -3, -2).reshape(*rows, n * patch, n * patch)


@factory
def forecaster(
    encoder: lj.Cell, decoder: lj.Cell, side: int, frames: int, patch: int = 1
) -> train.Model:
    """An encoder-forecaster (Shi et al. 2015, section 3.2): logits of the frames to come.

    The decoder starts with the encoder's last state, reads zeros, and its outputs give the pixels
    by one linear layer: of a patch at each place for cells of images, of the whole frame for cells
    of vectors.

    Args:
        encoder: Reads the frames: places of patches, or flat.
        decoder: A cell of the same states.
        side: The side S of a frame.
        frames: How many frames are to come.
        patch: The side of a patch, for cells of images.
    """
    places = encoder.grid.inputs
    pixels = patch * patch if places else side * side

    def init(key):
        of_encoder, of_decoder, of_readout = jax.random.split(key, 3)
        shape = (decoder.size, pixels)
        return {
            "encoder": encoder.init(of_encoder, pixels),
            "decoder": decoder.init(of_decoder, 1),
            "readout": {
                "w": jax.nn.initializers.lecun_normal()(of_readout, shape, jnp.float32),
                "b": jnp.full(pixels, -3.0),  # most pixels are paper
            },
        }

    def apply(params, xs, *, key=None):
        xs = xs / 255
        steps, batch = xs.shape[:2]
        read = cut_patches(xs, patch) if places else xs.reshape(steps, batch, -1)
        state, _ = lj.unroll(encoder, params["encoder"], read)
        nothing = jnp.zeros((frames, batch, *decoder.grid.inputs, 1), read.dtype)
        _, ys = lj.unroll(decoder, params["decoder"], nothing, state)
        logits = ys @ params["readout"]["w"] + params["readout"]["b"]
        if places:
            logits = join_patches(logits, patch)
        return jnp.swapaxes(logits, 0, 1).reshape(batch, frames, side * side)

    def answer(params, xs):
        return jax.nn.sigmoid(apply(params, xs))

    return train.Model(decoder.size, init, apply, answer)


@factory
def film_classifier(cell: lj.Cell, side: int, channels: int, classes: int) -> train.Model:
    """A small CNN over each frame, with a cell on top, whose last output is classified.

    Args:
        cell: A cell of vectors.
        side: The side S of a frame.
        channels: The channels of the first convolution; the second has twice as many. Both have
            kernels of 5 by 5 and strides of 2.
        classes: The number of classes.
    """
    convolution = lj.core.Convolution((2, 2), (1, 1))
    features = 2 * channels * (side // 4) ** 2
    normal = jax.nn.initializers.lecun_normal()

    def init(key):
        first, second, of_cell, of_readout = jax.random.split(key, 4)
        return {
            "w_1": normal(first, (5, 5, 1, channels)),
            "b_1": jnp.zeros(channels),
            "w_2": normal(second, (5, 5, channels, 2 * channels)),
            "b_2": jnp.zeros(2 * channels),
            "cell": cell.init(of_cell, features),
            "readout": {"w": normal(of_readout, (cell.size, classes)), "b": jnp.zeros(classes)},
        }

    def apply(params, xs, *, key=None):
        images = xs[..., None] / 255
        hidden = jax.nn.relu(convolution(images, params["w_1"]) + params["b_1"])
        hidden = jax.nn.relu(convolution(hidden, params["w_2"]) + params["b_2"])
        _, ys = lj.unroll(cell, params["cell"], hidden.reshape(*xs.shape[:2], features))
        return ys[-1] @ params["readout"]["w"] + params["readout"]["b"]

    def answer(params, xs):
        return jnp.argmax(apply(params, xs), axis=-1)

    return train.Model(cell.size, init, apply, answer)

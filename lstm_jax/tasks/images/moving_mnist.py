"""Moving MNIST: films of handwritten digits that move and bounce off the edges."""

import os
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32, UInt8

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.tasks.images.mnist_digits import SIDE, Mnist, mnist

SIDES = {64: SIDE, 32: SIDE // 2}  # of a frame, and of a digit in it
SPEED = 0.1  # of a step, as a share of the way that a digit has from edge to edge
DIRECTIONS = 8


class MovingDigits(NamedTuple):
    """Films, and how the digits in them start.

    Pixels are 0 (paper) to 255 (ink). A direction is 0 to 7: the eighth of the circle in which a
    digit sets out, counted from "to the right" by way of "down".
    """

    frames: UInt8[np.ndarray, "N T S S"]
    classes: Int32[np.ndarray, "N K"]
    directions: Int32[np.ndarray, "N K"]


def moving_digits(
    part: str,
    count: int,
    *,
    digits: int = 2,
    side: int = 64,
    frames: int = 20,
    seed: int = 0,
    held_out: int = 5000,
    data: Mnist | None = None,
    folder: str | os.PathLike[str] | None = None,
    verify: bool = True,
) -> MovingDigits:
    """The Moving MNIST of Srivastava, Mansimov & Salakhutdinov 2015, "Unsupervised learning of
    video representations using LSTMs", section 3.2, as finite data.

        films = moving_digits("train", 1000)
        seen, to_come = films.frames[:, :10], films.frames[:, 10:]

    Each film has ``digits`` digits of MNIST that start at random places in random directions, move
    by a tenth of their way in each frame and bounce off the edges; where they overlap, the darker
    pixel shows. Films of the three parts show different digits: those of "validation" are the last
    ``held_out`` training digits in the files' order, and those of "test" are by other writers.

    Args:
        part: "train", "validation" or "test".
        count: The number N of films.
        digits: The number K of digits in each.
        side: The side S of a frame: 64, as in the paper, or 32, with digits of half the size.
        frames: The number T of frames in each film.
        seed: Draws digits, places and directions. Each part has draws of its own.
        held_out: The number of training digits that only "validation" shows.
        data: The digits, if they have been read before; by default they are read here.
        folder: As in ``mnist``.
        verify: As in ``mnist``.

    Raises:
        FileNotFoundError, ValueError, OSError, ImportError: As ``mnist``; ValueError and TypeError
            for a wrong argument.
    """
    parts = ("train", "validation", "test")
    part = checking.choice("part", part, parts)
    count = checking.positive_int("count", count)
    digits = checking.positive_int("digits", digits)
    side = checking.positive_int("side", side)
    if side not in SIDES:
        raise WrongValue(f"side: expected 64 or 32, got {side}")
    frames = checking.positive_int("frames", frames)
    seed = checking.seed("seed", seed)
    held_out = checking.positive_int("held_out", held_out)
    data = mnist(folder=folder, verify=verify) if data is None else data
    if held_out >= len(data.train_classes):
        raise WrongValue(
            f"held_out: expected fewer than the {len(data.train_classes)} training digits, "
            f"got {held_out}"
        )
    pixels, classes = {
        "train": (data.train_pixels[:-held_out], data.train_classes[:-held_out]),
        "validation": (data.train_pixels[-held_out:], data.train_classes[-held_out:]),
        "test": (data.test_pixels, data.test_classes),
    }[part]
    rng = np.random.default_rng([seed, parts.index(part)])
    chosen = rng.integers(0, len(classes), (count, digits))
    angles = rng.uniform(0, 2 * np.pi, (count, digits))
    start = rng.random((count, digits, 2))
    places = trajectories(start, angles, frames)
    of_digit = shrink(pixels, SIDE // SIDES[side])
    shown = draw_frames(of_digit[chosen], places, side)
    sectors = (angles * DIRECTIONS / (2 * np.pi)).astype(np.int32) % DIRECTIONS
    return MovingDigits(shown, classes[chosen], sectors)


def trajectories(start: np.ndarray, angles: np.ndarray, frames: int) -> np.ndarray:
    """The places of digits at each frame, ``[N, T, K, 2]`` as (down, right), each in [0, 1].

    Args:
        start: The places before the first frame, ``[N, K, 2]``.
        angles: The directions, ``[N, K]``: 0 to the right, a quarter turn is down.
        frames: T.
    """
    place = start.copy()
    velocity = SPEED * np.stack([np.sin(angles), np.cos(angles)], axis=-1)
    places = []
    for _ in range(frames):
        place = place + velocity
        outside = (place < 0) | (place > 1)
        velocity = np.where(outside, -velocity, velocity)
        place = np.clip(place, 0, 1)
        places.append(place)
    return np.stack(places, axis=1)


def shrink(pixels: UInt8[np.ndarray, "N 784"], by: int) -> np.ndarray:
    """Digits ``[N, 28 / by, 28 / by]``, each of whose pixels is the mean of ``by`` times ``by``."""
    if by == 1:
        return pixels.reshape(-1, SIDE, SIDE)
    blocks = pixels.reshape(-1, SIDE // by, by, SIDE // by, by)
    return np.rint(blocks.mean((2, 4))).astype(np.uint8)


def draw_frames(digits: np.ndarray, places: np.ndarray, side: int) -> np.ndarray:
    """Films ``[N, T, side, side]`` of digits ``[N, K, d, d]`` at places ``[N, T, K, 2]``."""
    count, frames = places.shape[:2]
    of_digit = digits.shape[-1]
    corners = (places * (side - of_digit)).astype(int)
    shown = np.zeros((count, frames, side, side), np.uint8)
    films, offsets = np.arange(count)[:, None, None], np.arange(of_digit)
    for t in range(frames):
        for k in range(digits.shape[1]):
            down = corners[:, t, k, 0, None, None] + offsets[:, None]
            right = corners[:, t, k, 1, None, None] + offsets
            under = shown[films, t, down, right]
            shown[films, t, down, right] = np.maximum(under, digits[:, k])
    return shown

import numpy as np
import pytest

from lstm_jax.tasks.images import Mnist, moving_digits
from lstm_jax.tasks.images.moving_mnist import draw_frames, shrink, trajectories


@pytest.fixture
def data():
    """Digits of one shade each, which tells them apart: training digits are darker than 100."""
    train, test = np.arange(20, dtype=np.uint8) + 1, np.arange(5, dtype=np.uint8) + 200

    def made(shades):
        pixels = np.repeat(shades[:, None], 784, axis=1)
        return pixels, (shades % 10).astype(np.int32)

    return Mnist(*made(train), *made(test))


def test_frames_show_the_digits_where_they_are(data):
    films = moving_digits("train", 6, digits=1, held_out=4, data=data)
    assert films.frames.shape == (6, 20, 64, 64) and films.frames.dtype == np.uint8
    for film, (digit,) in zip(films.frames, films.classes, strict=True):
        for frame in film:
            (shade,) = set(np.unique(frame)) - {0}
            assert shade % 10 == digit and shade <= 16
            down, right = np.nonzero(frame)
            assert len(down) == 28 * 28
            assert np.ptp(down) == np.ptp(right) == 27


def test_the_parts_show_other_digits(data):
    shades = {
        part: set(np.unique(moving_digits(part, 40, held_out=4, data=data).frames)) - {0}
        for part in ("train", "validation", "test")
    }
    assert shades["train"] <= set(range(1, 17))
    assert shades["validation"] <= set(range(17, 21))
    assert shades["test"] <= set(range(200, 205))


def test_films_are_a_function_of_the_seed(data):
    def films(seed):
        return moving_digits("test", 3, seed=seed, side=32, frames=5, held_out=4, data=data)

    np.testing.assert_array_equal(films(1).frames, films(1).frames)
    assert np.any(films(1).frames != films(2).frames)
    assert films(1).frames.shape == (3, 5, 32, 32)


def test_digits_bounce_and_directions_are_those_of_the_start():
    start = np.array([[[0.5, 0.85]]])
    places = trajectories(start, np.array([[0.0]]), 4)[0, :, 0]
    np.testing.assert_allclose(places[:, 0], 0.5)
    np.testing.assert_allclose(places[:, 1], [0.95, 1.0, 0.9, 0.8])
    down = trajectories(start, np.array([[np.pi / 2]]), 1)[0, 0, 0]
    np.testing.assert_allclose(down, [0.6, 0.85])


def test_directions_are_eighths_of_the_circle(data):
    films = moving_digits("test", 200, digits=1, side=32, frames=2, held_out=4, data=data)
    assert set(np.unique(films.directions)) == set(range(8))
    corners = np.array([[np.argwhere(frame)[0] for frame in film] for film in films.frames], float)
    moved = corners[:, 1] - corners[:, 0]
    right = np.isin(films.directions[:, 0], (0, 7))
    assert np.mean(moved[right][:, 1]) > 0.5 > abs(np.mean(moved[right][:, 0]))


def test_overlaps_show_the_darker_pixel_and_halves_are_means():
    digits = np.array([[np.full((2, 2), 10), [[5, 20], [5, 20]]]], np.uint8)
    frame = draw_frames(digits, np.zeros((1, 1, 2, 2)), 3)[0, 0]
    np.testing.assert_array_equal(frame, [[10, 20, 0], [10, 20, 0], [0, 0, 0]])
    pixels = np.zeros((1, 784), np.uint8)
    pixels[0, :2] = 200
    assert shrink(pixels, 2)[0, 0, 0] == 100 and shrink(pixels, 2).shape == (1, 14, 14)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"side": 48}, "side: expected 64 or 32, got 48"),
        ({"held_out": 20}, "held_out: expected fewer than the 20 training digits, got 20"),
        ({"digits": 0}, "digits: expected a positive integer, got 0"),
    ],
)
def test_wrong_options_are_errors(data, options, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        moving_digits("train", 2, data=data, **{"held_out": 4} | options)
    with pytest.raises(ValueError, match=r"^part: expected one of train"):
        moving_digits("all", 2, data=data)

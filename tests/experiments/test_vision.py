"""The experiments on films: patches, scores, and one run of each, tiny."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from experiments import __main__ as command
from experiments.vision import _films, moving_digits, video_class
from lstm_jax import tasks
from lstm_jax.tasks.images import Mnist


@pytest.fixture
def digits(monkeypatch):
    """Digits that are squares of ink."""
    rng = np.random.default_rng(0)

    def draw(count):
        pixels = np.zeros((count, 28, 28), np.uint8)
        pixels[:, 8:20, 8:20] = 255
        return pixels.reshape(count, 784), rng.integers(0, 10, count).astype(np.int32)

    made = Mnist(*draw(5010), *draw(10))
    monkeypatch.setattr(tasks.images, "mnist", lambda: made)
    return made


def test_patches_are_put_together_again():
    frames = jnp.arange(2 * 8 * 8.0).reshape(2, 8, 8)
    patches = _films.cut_patches(frames, 4)
    assert patches.shape == (2, 2, 2, 16)
    np.testing.assert_array_equal(patches[1, 0, 1].reshape(4, 4), frames[1, :4, 4:])
    np.testing.assert_array_equal(_films.join_patches(patches, 4), frames)


def test_forecasters_answer_with_all_frames_to_come():
    xs = jnp.ones((3, 2, 8, 8))
    layers = [lj.conv_lstm(size, (2, 2), 3) for size in (3, 2)]
    models = (
        _films.forecaster(lj.chain(*layers), lj.chain(*layers), 8, 5, 4),
        _films.forecaster(lj.lstm(4), lj.lstm(4), 8, 5),
    )
    for model in models:
        shapes = jax.eval_shape(model.init, jax.random.key(0))
        assert jax.eval_shape(model.answer, shapes, xs).shape == (2, 5, 64)


def test_errors_are_sums_over_a_frame_and_means_over_frames(digits, tmp_path):
    films = tasks.images.moving_digits("test", 3, digits=1, side=32, frames=12, data=digits)
    saved = {}

    class Trial:
        def save_arrays(self, name, **arrays):
            saved[name] = arrays

    wanted = films.frames[:, 10:].reshape(3, 2, -1) / np.float32(255)
    right = moving_digits.score(wanted, films, Trial())
    wrong = moving_digits.score(1 - wanted, films, Trial())
    assert right[moving_digits.MSE] == 0
    assert wrong[moving_digits.MSE] == pytest.approx(32 * 32)
    assert wrong[moving_digits.CROSS_ENTROPY] == pytest.approx(-32 * 32 * np.log(1e-3), rel=1e-4)
    assert saved["films"]["drawn"].shape == (2, 2, 32, 32)


def test_the_published_row_stands_beside_the_setting_of_the_papers(digits):
    small = {"films": 2, "channels": (1,), "lstm_size": 1}
    (paper,) = moving_digits.studies(moving_digits.Config(digits=2, side=64, **small))
    (other,) = moving_digits.studies(moving_digits.Config(**small))
    assert len(paper.published) == 1 and not other.published
    assert paper.name == "Moving MNIST, 2 digits, 64 x 64"


@pytest.mark.slow
def test_moving_digits_runs(digits, tmp_path):
    out = tmp_path / "run"
    args = ["--films", "20", "--channels", "4", "--kernel", "3", "--lstm-size", "8"]
    args += ["--epochs", "2", "--batch-size", "10", "--frames", "12", "--out", str(out)]
    assert command.main(["moving_digits", *args]) == 0
    (study,) = json.loads((out / "results.json").read_text())["studies"]
    scores = {row["entry"]: row["scores"] for row in study["entries"]}
    assert set(scores) == {"last frame", "ConvLSTM, 4", "LSTM, 8"}
    for row in scores.values():
        assert 0 < row[moving_digits.MSE]["center"] < 32 * 32
    assert "frames-to-come" in (out / "report.md").read_text().replace(" ", "-")


@pytest.mark.slow
def test_video_class_runs(digits, tmp_path):
    out = tmp_path / "run"
    args = ["--films", "20", "--channels", "2", "--cells", "gru", "--size", "4", "--epochs", "2"]
    args += ["--batch-size", "10", "--frames", "4", "--out", str(out)]
    assert command.main(["video_class", *args]) == 0
    (study,) = json.loads((out / "results.json").read_text())["studies"]
    scores = {row["entry"]: row["scores"][video_class.TEST]["center"] for row in study["entries"]}
    assert set(scores) == {"commonest class", "CNN + gru, 4"}
    assert all(0 <= score <= 100 for score in scores.values())

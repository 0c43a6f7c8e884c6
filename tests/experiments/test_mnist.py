"""The experiments on MNIST: parts, orders and first biases, and one run of each, tiny."""

import json
import math

import jax
import numpy as np
import pytest

import lstm_jax as lj
from experiments import __main__ as command
from experiments.images import _mnist, mnist_rows, sequential_mnist
from lstm_jax import tasks
from lstm_jax.tasks.images import Mnist

TRAINING = _mnist.Training(900, 2, 20, 1e-2)


@pytest.fixture
def digits(monkeypatch):
    """Digits of which the class is written in the upper rows; the last 20 are for validation."""
    rng = np.random.default_rng(0)

    def draw(count):
        classes = rng.integers(0, 10, count).astype(np.int32)
        pixels = rng.integers(0, 20, (count, 784)).astype(np.uint8)
        pixels[:, :560] += np.uint8(25) * classes[:, None].astype(np.uint8)
        return pixels, classes

    made = Mnist(*draw(120), *draw(40))
    monkeypatch.setattr(tasks.images, "mnist", lambda: made)
    monkeypatch.setattr(_mnist, "VALIDATION", 20)
    return made


@pytest.mark.parametrize("per_step", [1, 28])
def test_parts_are_read_in_order_and_validation_comes_last(digits, per_step):
    _, data = _mnist.load(per_step)
    assert [len(part) for part in data] == [100, 20, 40]
    sources = (digits.train_pixels[:100], digits.train_pixels[100:], digits.test_pixels)
    for part, pixels in zip(data, sources, strict=True):
        batch = part.read(np.array([3]), 1, 784 // per_step)
        np.testing.assert_allclose(np.ravel(batch.xs), pixels[3] / 255, rtol=1e-6)
    np.testing.assert_array_equal(
        data.validation.read(np.arange(20), 20, 784 // per_step).targets,
        digits.train_classes[100:],
    )


def test_permuted_pixels_have_the_order_of_the_task(digits):
    order = _mnist.permutation(3)
    np.testing.assert_array_equal(order, np.random.RandomState(3).permutation(784))
    _, data = _mnist.load(1, order)
    xs = np.ravel(data.test.read(np.array([5]), 1, 784).xs)
    for step in (0, 1, 400, 783):
        assert xs[step] == digits.test_pixels[5, order[step]] / np.float32(255)


def test_chrono_gates_remember_up_to_t_max(digits):
    _, data = _mnist.load(1)
    forget = {}
    for t_max in (0, 784):
        model = _mnist.make_model("lstm", data, TRAINING._replace(t_max=t_max))
        b = model.init(jax.random.key(0))["cell"]["b"]
        forget[t_max] = np.asarray(lj.lstm(b.shape[-1] // 4).axis.split(b)["forget"])
    assert (forget[0] == 1).all()
    assert forget[784].min() >= 0 and forget[784].max() <= math.log(783)
    assert np.ptp(forget[784]) > 1


def test_nets_are_near_the_parameters_and_published_rows_fit_the_order(digits):
    (plain,) = sequential_mnist.studies(sequential_mnist.Config())
    (permuted,) = sequential_mnist.studies(sequential_mnist.Config(permuted=True))
    (rows,) = mnist_rows.studies(mnist_rows.Config())
    for study in (plain, permuted, rows):
        nets = [entry.parameters for entry in study.entries if entry.kind == "net"]
        assert len(nets) == 2 and max(nets) < 1.03 * min(nets)
    gru = {study.name: study.published[1].scores[_mnist.TEST] for study in (plain, permuted)}
    assert gru == {"sequential MNIST": 96.2, "permuted MNIST": 87.3}  # Bai 2018, table 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mnist_rows", "sequential_mnist"])
def test_the_experiment_runs(digits, tmp_path, name):
    """By rows the class, a shade of the upper rows, is soon learnt; 784 steps take too long."""
    out = tmp_path / "run"
    args = ["--epochs", "8" if name == "mnist_rows" else "1", "--batch-size", "10"]
    args += ["--cells", "gru", "--parameters", "3000", "--learning-rate", "0.02"]
    assert command.main([name, *args, "--out", str(out)]) == 0
    (study,) = json.loads((out / "results.json").read_text())["studies"]
    scores = {row["entry"]: row["scores"][_mnist.TEST]["center"] for row in study["entries"]}
    commonest = np.bincount(digits.train_classes[:100]).argmax()
    assert scores.pop("commonest class") == 100 * np.mean(digits.test_classes == commonest)
    assert scores.pop("logistic regression") > 40
    (gru,) = (score for entry, score in scores.items() if entry.startswith("gru"))
    assert 0 <= gru <= 100 and (name == "sequential_mnist" or gru > 60)

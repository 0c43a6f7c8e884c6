import gzip
import os
import struct

import jax
import numpy as np
import pytest

from lstm_jax.tasks.images import mnist
from lstm_jax.tasks.images.sequential_mnist import sequential_mnist

COUNTS = {"train": 40, "t10k": 12}


def packed(array):
    header = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return gzip.compress(header + array.astype(np.uint8).tobytes())


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A data folder with made-up digits in the format of the published ones; returns the digits."""
    rng, digits = np.random.default_rng(0), {}
    (tmp_path / "mnist").mkdir()
    for part, count in COUNTS.items():
        # A digit is known by its first pixels, and its class by the last one, most of the time.
        images = rng.integers(0, 256, (count, 28, 28))
        labels = rng.integers(0, 10, count)
        images[:, -1, -1] = np.where(rng.random(count) < 0.7, labels, 77)
        digits[part] = images, labels
        write(tmp_path, f"{part}-images-idx3-ubyte", packed(images))
        write(tmp_path, f"{part}-labels-idx1-ubyte", packed(labels))
    monkeypatch.setenv("LSTM_JAX_DATA", str(tmp_path))
    return digits


def write(folder, name, data):
    (folder / "mnist" / f"{name}.gz").write_bytes(data)


def test_pixels_come_one_by_one_and_the_last_digits_of_the_file_are_for_validation(made):
    task = sequential_mnist(validation=8, verify=False)
    (images, labels), (test_images, test_labels) = made["train"], made["t10k"]
    assert task.name == "sequential_mnist(validation=8)" and task.input_size == 1
    assert task.test.xs.shape == (784, 12, 1) and task.validation.xs.shape == (784, 8, 1)
    for batch, pixels, classes in (
        (task.validation, images[-8:], labels[-8:]),
        (task.test, test_images, test_labels),
    ):
        np.testing.assert_array_equal(batch.targets, classes)
        for column, image in enumerate(pixels):
            by_hand = [np.float32(image[row, at]) / 255 for row in range(28) for at in range(28)]
            np.testing.assert_allclose(batch.xs[:, column, 0], by_hand, rtol=1e-6)


def test_training_digits_are_drawn_by_key_from_the_rest(made):
    task = sequential_mnist(validation=8, verify=False)
    images, labels = made["train"]
    sample = jax.jit(task.sample, static_argnums=1)
    batch, same, other = (sample(jax.random.key(seed), 200) for seed in (0, 0, 1))
    np.testing.assert_array_equal(batch.xs, same.xs)
    assert not np.array_equal(batch.targets, other.targets)
    pixels = np.rint(np.asarray(batch.xs[:, :, 0]).T * 255).astype(int).reshape(200, 28, 28)
    rows = [int(np.flatnonzero((images == image).all(axis=(1, 2)))[0]) for image in pixels]
    assert set(rows) == set(range(32))  # all of them, and no digit of the validation part
    np.testing.assert_array_equal(batch.targets, labels[rows])


def test_permuted_is_one_order_for_all_digits_that_the_seed_pins(made):
    plain = sequential_mnist(validation=8, verify=False)
    task = sequential_mnist(True, validation=8, verify=False)
    order = np.random.RandomState(0).permutation(784)
    assert list(order[:5]) == [693, 85, 647, 392, 765]  # of the legacy generator, frozen
    for ours, theirs in ((task.test, plain.test), (task.validation, plain.validation)):
        np.testing.assert_array_equal(ours.xs, np.asarray(theirs.xs)[order])
        np.testing.assert_array_equal(ours.targets, theirs.targets)
    drawn, as_they_stand = (t.sample(jax.random.key(4), 16) for t in (task, plain))
    np.testing.assert_array_equal(drawn.xs, np.asarray(as_they_stand.xs)[order])
    other = sequential_mnist(True, permutation_seed=3, validation=8, verify=False)
    assert not np.array_equal(other.test.xs, task.test.xs)
    assert task.name == "sequential_mnist(permuted, validation=8)"
    assert other.name == "sequential_mnist(permuted, permutation_seed=3, validation=8)"


def test_rows_are_28_pixels_a_step(made):
    task = sequential_mnist(rows=True, validation=8, verify=False)
    assert task.name == "sequential_mnist(rows, validation=8)" and task.input_size == 28
    images = np.asarray(task.test.xs).transpose(1, 0, 2)
    np.testing.assert_allclose(images * 255, made["t10k"][0], rtol=1e-6)
    assert task.sample(jax.random.key(0), 5).xs.shape == (28, 5, 28)


def test_chance_and_the_memoryless_answer_by_simulation(made):
    task = sequential_mnist(validation=8, verify=False)
    images, labels = made["train"][0][:32], made["train"][1][:32]
    test_images, test_labels = made["t10k"]
    constant = [np.mean(test_labels == answer) for answer in range(10)]
    assert task.score.chance == max(constant)
    counts = np.bincount(labels)
    right = 0
    for image, label in zip(test_images, test_labels, strict=True):
        known = labels[images[:, 27, 27] == image[27, 27]]
        best = counts.max() if len(known) == 0 else np.bincount(known).max()
        among = labels if len(known) == 0 else known
        answers = [c for c in range(10) if (among == c).sum() == best]
        assert len(answers) == 1 or label not in answers  # no ties that matter
        right += answers[0] == label
    assert task.score.memoryless == right / 12 > task.score.chance


def test_bad_input_and_malformed_files_are_named(made, tmp_path):
    def read(**options):
        return sequential_mnist(**{"validation": 8, "verify": False, **options})

    with pytest.raises(ValueError, match="rows: expected False with permuted, got True"):
        read(permuted=True, rows=True)
    with pytest.raises(ValueError, match=r"validation: expected fewer than the 40 .*got 40"):
        read(validation=40)
    for seed in (-1, True, 2**32):
        with pytest.raises(
            ValueError, match=(f"permutation_seed: expected .* to 4294967295, got {seed}")
        ):
            read(permuted=True, permutation_seed=seed)
    with pytest.raises(ValueError, match=r"batch_size: .*got 0"):
        read().sample(jax.random.key(0), 0)
    with pytest.raises(ValueError, match=r"expected the published train-images.*"):
        read(verify=True)
    name = "t10k-labels-idx1-ubyte"
    for wrong, message in (
        (packed(np.zeros(11)), r"t10k-images.*\(12, 28, 28\), and 11 classes"),
        (packed(np.full(12, 10)), r"t10k-labels.*: expected classes from 0 to 9, got 10"),
        (packed(np.zeros((12, 1))), r"t10k-labels.*got 24 bytes that start with 00000802"),
        (gzip.compress(b"\0\0\x08\x01\0\0\0\x0c123"), r"got 11 bytes that start with 000008010"),
        (gzip.compress(b"\0\0"), r"got 2 bytes that start with 0000"),
        (b"no gzip", r"t10k-labels.*: expected a gzip file of an idx array.*Not a gzip"),
    ):
        write(tmp_path, name, wrong)
        with pytest.raises(ValueError, match=message):
            read()
    (tmp_path / "mnist" / f"{name}.gz").unlink()
    with pytest.raises(FileNotFoundError, match=r"expected the files .*got no file .*t10k-labels"):
        read()


@pytest.mark.skipif("LSTM_JAX_DATA" not in os.environ, reason="LSTM_JAX_DATA names no folder")
def test_the_published_digits():
    task = sequential_mnist()
    assert task.name == "sequential_mnist"
    assert task.validation.xs.shape == (784, 5000, 1) and task.test.xs.shape == (784, 10_000, 1)
    # The counts of LeCun's test file: 1,135 ones are the most.
    counts = np.bincount(np.asarray(task.test.targets))
    assert list(counts) == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert task.score.chance == 0.1135
    # The last pixel is black in all digits, and says nothing.
    assert task.score.memoryless == 0.1135
    mean = float(task.test.xs.mean())
    np.testing.assert_allclose(mean, 0.13251, atol=1e-5)
    mix = np.bincount(np.asarray(task.validation.targets)) / 5000
    np.testing.assert_allclose(mix, counts / 10_000, atol=0.012)
    assert float(task.test.xs.min()) == 0 and float(task.test.xs.max()) == 1


def test_the_digits_by_themselves_are_those_of_the_files(made):
    data = mnist(verify=False)
    for pixels, classes, part in ((*data[:2], "train"), (*data[2:], "t10k")):
        images, labels = made[part]
        np.testing.assert_array_equal(pixels.reshape(-1, 28, 28), images)
        np.testing.assert_array_equal(classes, labels)
        assert pixels.dtype == np.uint8 and classes.dtype == np.int32

import os

import numpy as np
import pytest

from lstm_jax.tasks import text
from lstm_jax.tasks.text import penn_treebank
from tests.tasks.published import serve

LINES = {
    "train": " the cat sat N <unk> \n the dog sat \n",
    "valid": " the dog <unk> \n",
    "test": " the cat N \n",
}


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "ptb"
    folder.mkdir()
    for part, lines in LINES.items():
        (folder / f"ptb.{part}.txt").write_text(lines)
    return folder


def test_words_come_as_ids_with_one_more_at_each_end_of_line(folder):
    data = text.ptb(folder=folder, verify=False)
    assert data.vocabulary.tokens == ("<eos>", "sat", "the", "<unk>", "N", "cat", "dog")
    np.testing.assert_array_equal(data.train, [2, 5, 1, 4, 3, 0, 2, 6, 1, 0])
    np.testing.assert_array_equal(data.validation, [2, 6, 3, 0])
    np.testing.assert_array_equal(data.test, [2, 5, 4, 0])
    assert all(part.dtype == np.int32 for part in data[:3])
    assert data.vocabulary.decode(data.test) == ["the", "cat", "N", "<eos>"]
    assert data.vocabulary.encode(["a", "dog"]).tolist() == [3, 6]


def test_the_files_are_downloaded(folder, tmp_path, monkeypatch):
    with serve(folder, penn_treebank, monkeypatch, tmp_path / "cache"):
        assert len(text.ptb().train) == 10


@pytest.mark.parametrize(
    ("part", "lines", "message"),
    [
        ("train", " the cat \n\n a dog\n", r"train\.txt, line 2: expected words.*an empty line"),
        ("test", " the <eos>\n", r"test\.txt, line 1: expected words, without <eos>, got <eos>"),
        (
            "valid",
            " the\n a cow\n",
            r"valid\.txt, line 2: expected words of .*, got 'a",
        ),
        (
            "valid",
            " the caf\N{LATIN SMALL LETTER E WITH ACUTE} \n",
            r"valid.*line 1.*in ascii",
        ),
        ("valid", "", r"valid\.txt: expected words, got an empty file"),
    ],
)
def test_malformed_files_are_named(folder, part, lines, message):
    (folder / f"ptb.{part}.txt").write_text(lines, "utf-8")
    with pytest.raises(ValueError, match=message):
        text.ptb(folder=folder, verify=False)


def test_files_that_are_not_the_published_ones(folder):
    with pytest.raises(ValueError, match=r"expected the published ptb\.train\.txt .*got "):
        text.ptb(folder=folder)
    (folder / "ptb.valid.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"got no file .*ptb\.valid\.txt"):
        text.ptb(folder=folder, verify=False)


@pytest.mark.skipif("LSTM_JAX_DATA" not in os.environ, reason="LSTM_JAX_DATA names no folder")
def test_the_published_text():
    data = text.ptb()
    assert [len(part) for part in data] == [929_589, 73_760, 82_430, 10_000]
    assert data.vocabulary.tokens[:4] == ("the", "<unk>", "<eos>", "N")
    end = data.vocabulary.ids["<eos>"]
    assert [(part == end).sum() for part in data[:3]] == [42_068, 3370, 3761]
    assert data.train.max() == 9999 and np.unique(data.train).size == 10_000
    assert (np.diff(np.bincount(data.train)) <= 0).all()

import gzip
import os

import pytest

import lstm_jax as lj
from lstm_jax.tasks import text

LINES = {"train": "(3 (2 It) (4 fine))\n(0 Dull)\n", "dev": "(2 So)\n", "test": "(1 8\xa01\\/2)\n"}


@pytest.fixture
def folder(tmp_path):
    for part, lines in LINES.items():
        data = lines.encode()
        packed = part == "dev"
        path = tmp_path / f"{part}.txt{'.gz' if packed else ''}"
        path.write_bytes(gzip.compress(data) if packed else data)
    return tmp_path


def test_lines_of_each_part(folder):
    data = text.sentiment_treebank(folder=folder, verify=False)
    assert data == (["(3 (2 It) (4 fine))", "(0 Dull)"], ["(2 So)"], ["(1 8\xa01\\/2)"])
    assert lj.tree.from_brackets(data.test[0]).words == ["8\xa01\\/2"]


def test_wrong_files_are_named(folder, monkeypatch):
    with pytest.raises(ValueError, match="folder: expected the train part of SHA-256"):
        text.sentiment_treebank(folder=folder)
    (folder / "test.txt").write_text("(1 a)\nb\n")
    with pytest.raises(ValueError, match=r"test\.txt, line 2: expected a tree in brackets"):
        text.sentiment_treebank(folder=folder, verify=False)
    (folder / "test.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"folder: expected .*test\.txt or"):
        text.sentiment_treebank(folder=folder, verify=False)
    monkeypatch.delenv("LSTM_JAX_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match="LSTM_JAX_DATA"):
        text.sentiment_treebank()


@pytest.mark.skipif("LSTM_JAX_DATA" not in os.environ, reason="LSTM_JAX_DATA names no folder")
def test_the_published_trees():
    data = text.sentiment_treebank()
    assert [len(part) for part in data] == [8544, 1101, 2210]
    labels = [int(line[1]) for line in data.train]
    assert [labels.count(label) for label in range(5)] == [1092, 2218, 1624, 2322, 1288]
    trees = [lj.tree.from_brackets(line) for line in data.validation]
    assert {len(of) for tree in trees for of in tree.children} == {0, 2}

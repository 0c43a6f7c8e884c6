import os

import numpy as np
import pytest

from lstm_jax.tasks import text
from lstm_jax.tasks.text import movie_review_sentences
from lstm_jax.tasks.text.movie_review_sentences import clean
from tests.tasks.published import serve

NEGATIVE = "simplistic , silly and tedious . \na mess . \n"
POSITIVE = "a na\N{LATIN SMALL LETTER I WITH DIAERESIS}ve , fine film — good \n. a mess\n"


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "sentiment"
    folder.mkdir()
    write(folder, NEGATIVE, POSITIVE)
    return folder


def write(folder, negative, positive, encoding="utf-8"):
    (folder / "rt-polarity.neg").write_bytes(negative.encode(encoding))
    (folder / "rt-polarity.pos").write_bytes(positive.encode(encoding))


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_sentences_labels_and_groups(folder, encoding):
    write(folder, NEGATIVE, POSITIVE, encoding)
    data = text.movie_reviews(folder=folder, verify=False)
    lines = (NEGATIVE + POSITIVE).splitlines()
    assert data.sentences == [line.strip() for line in lines]
    assert data.tokens[0] == ["simplistic", ",", "silly", "and", "tedious"]
    assert data.tokens[2] == ["a", "na", "ve", ",", "fine", "film", "good"]
    np.testing.assert_array_equal(data.labels, [0, 0, 1, 1])
    np.testing.assert_array_equal(data.groups, [0, 1, 2, 1])
    assert data.labels.dtype == data.groups.dtype == np.int32


def test_the_files_are_downloaded(folder, tmp_path, monkeypatch):
    with serve(folder, movie_review_sentences, monkeypatch, tmp_path / "cache"):
        assert len(text.movie_reviews().labels) == 4


def test_malformed_files_are_named(folder):
    write(folder, "good\n \nbad\n", POSITIVE)
    with pytest.raises(ValueError, match=r"polarity\.neg, line 2: expected a sentence, got an emp"):
        text.movie_reviews(folder=folder, verify=False)
    write(folder, NEGATIVE, "fine\nfi\N{LATIN SMALL LETTER E WITH ACUTE}ne\n", "cp1252")
    (folder / "rt-polarity.pos").write_bytes(b"fine\nfi\x81ne\n")  # of no character in cp1252
    with pytest.raises(ValueError, match=r"pos, line 2: .* in utf-8 or cp1252, got the byte 0x81"):
        text.movie_reviews(folder=folder, verify=False)
    with pytest.raises(ValueError, match=r"published rt-polarity\.neg"):
        text.movie_reviews(folder=folder)


CLEANED = {
    "It's so-so , isn't it ?": "it 's so so , is n't it ?",
    "they've won ; we're (nearly) done !": "they 've won we 're ( nearly ) done !",
    "i'd say he'll . . . 7/10": "i 'd say he 'll 7 10",
    "rock `n' roll's d\N{LATIN SMALL LETTER E WITH ACUTE}mod\N{LATIN SMALL LETTER E WITH ACUTE}":
        "rock `n' roll 's d mod",
}  # fmt: skip


@pytest.mark.parametrize("sentence", CLEANED)
def test_sentences_are_cleaned_as_by_kim(sentence):
    assert clean(sentence) == CLEANED[sentence].split()


@pytest.mark.skipif("LSTM_JAX_DATA" not in os.environ, reason="LSTM_JAX_DATA names no folder")
def test_the_published_sentences():
    data = text.movie_reviews()
    assert len(data.sentences) == len(data.tokens) == len(data.groups) == 10_662
    assert np.bincount(data.labels).tolist() == [5331, 5331]
    assert len(set(data.sentences)) == 10_662
    (twice,) = np.flatnonzero(np.bincount(data.groups) == 2)
    assert data.groups.max() == 10_660
    rows = np.flatnonzero(data.groups == twice)
    assert {tuple(data.tokens[row]) for row in rows} == {("a", "pretentious", "mess")}
    assert all(data.tokens) and max(map(len, data.tokens)) == 56

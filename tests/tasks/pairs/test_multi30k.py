import functools
import gzip
import math
import os
import sys
from collections import Counter

import numpy as np
import pytest

from lstm_jax.tasks.pairs import multi30k as m
from lstm_jax.tasks.vocabulary import UNKNOWN
from tests.tasks.published import serve

CAPTIONS = {
    "train.en": ["A man in a hat.", "A man's dog, a T-shirt.", "The dog runs."],
    "train.de": ["Ein Mann mit Hut.", "Ein Hund, ein T-Shirt.", "Der Hund läuft."],
    "val.en": ["A man runs."],
    "val.de": ["Ein Mann läuft."],
    "test_2016_flickr.en": ["A cat in a hat.", "The man."],
    "test_2016_flickr.de": ["Eine Katze mit Hut.", "Der Mann."],
}


@pytest.fixture
def folder(tmp_path):
    """The files of a data folder, with made-up captions."""
    inner = tmp_path / "translation"
    inner.mkdir()
    for name, lines in CAPTIONS.items():
        write(inner, name, lines)
    return inner


def write(folder, name, lines):
    (folder / f"{name}.gz").write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))


def test_captions_are_read_as_text_and_as_ids_of_the_training_words(folder):
    data = m.multi30k(folder=folder, verify=False)
    assert data.train.sources == CAPTIONS["train.en"]
    assert data.test_2016_flickr.targets == CAPTIONS["test_2016_flickr.de"]
    # Words that the training captions have twice, by count and alphabet.
    assert data.source_vocabulary.tokens[4:] == ("a", ".", "dog", "man")
    assert data.target_vocabulary.tokens[4:] == (".", "ein", "hund")
    ids = dict(data.source_vocabulary.ids)
    expected = [ids["a"], UNKNOWN, UNKNOWN, ids["a"], UNKNOWN, ids["."]]
    np.testing.assert_array_equal(data.test_2016_flickr.pairs.sources[0], expected)
    every = m.multi30k("de", "en", folder=folder, min_count=1, verify=False)
    for split in every[:3]:
        assert [every.target_vocabulary.decode(ids) for ids in split.pairs.targets] == [
            [t if t in every.target_vocabulary.ids else "<unknown>" for t in m.tokenise(line)]
            for line in split.targets
        ]
    assert "läuft" in every.source_vocabulary.ids and "katze" not in every.source_vocabulary.ids
    assert len(m.multi30k(folder=folder, max_size=6, verify=False).source_vocabulary) == 6


def test_the_environment_names_the_folder(folder, monkeypatch):
    monkeypatch.setenv("LSTM_JAX_DATA", str(folder.parent))
    assert m.multi30k(verify=False).validation.targets == CAPTIONS["val.de"]


def test_files_that_are_missing_changed_or_malformed_are_named(folder):
    with pytest.raises(ValueError, match=r"expected the published train\.en\.gz .*got "):
        m.multi30k(folder=folder)
    read = functools.partial(m.multi30k, folder=folder, verify=False)
    write(folder, "val.de", ["Ein Mann.", "Ein Hund."])
    with pytest.raises(
        ValueError, match=r"val\.en\.gz: expected as many lines as val\.de\.gz .*got 1"
    ):
        read()
    write(folder, "val.de", ["Ein Mann.", " ", "Ein Hund."])
    with pytest.raises(ValueError, match=r"val\.de\.gz: expected a caption .*got line 2"):
        read()
    packed = gzip.compress("Ein Mann läuft.\n".encode())
    flipped = packed[:12] + bytes([packed[12] ^ 255]) + packed[13:]
    latin = gzip.compress("läuft\n".encode("latin-1"))
    for damaged in (b"Ein Mann.\n", packed[:-9], flipped, latin):
        (folder / "val.de.gz").write_bytes(damaged)
        with pytest.raises(ValueError, match=r"val\.de\.gz: expected a gzip file of UTF-8"):
            read()
    (folder / "val.de.gz").unlink()
    with pytest.raises(FileNotFoundError, match=r"expected the files .*got no file .*val\.de\.gz"):
        read()
    with pytest.raises(ValueError, match=r"target: .*got 'de' for both"):
        m.multi30k("de", "de")


@pytest.fixture
def published(folder, tmp_path, monkeypatch):
    """Serves the made-up files on this machine as if they were the published ones."""
    with serve(folder, m, monkeypatch, tmp_path / "cache"):
        yield folder


def test_files_are_downloaded_once_and_checked(published, monkeypatch):
    assert m.multi30k().train.targets == CAPTIONS["train.de"]
    monkeypatch.setattr(m, "PUBLISHED", m.PUBLISHED._replace(address="http://127.0.0.1:9/"))
    assert m.multi30k().train.targets == CAPTIONS["train.de"]  # from the cache


def test_downloads_that_fail_say_what_else_can_be_done(published, monkeypatch):
    write(published, "train.en", ["Something else."])
    with pytest.raises(ValueError, match=r"hash of downloaded file \(train\.en\.gz\)"):
        m.multi30k()
    (published / "train.en.gz").unlink()
    with pytest.raises(
        OSError, match=r"train\.en\.gz not downloaded from .* or set LSTM_JAX_DATA to a folder"
    ):
        m.multi30k()
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match=r"needs pooch; pip install .* or set LSTM_JAX_DATA"):
        m.multi30k()


TAKEN_APART = {
    "A man's T-shirt, red.": "a man 's t-shirt , red .",
    'He says "stop!" (1,000.5 times)': 'he says " stop ! " ( 1,000.5 times )',
    "Das Schild: „Grüß Gott“ steht da.": "das schild : „ grüß gott “ steht da .",
    "One “or” two; and/or 50% & ok?": "one “ or ” two ; and / or 50 % & ok ?",
    'Both "a" and "b".': 'both " a " and " b " .',
    "Don't!": "don 't !",
}


@pytest.mark.parametrize("text", TAKEN_APART)
def test_text_is_taken_apart_and_put_together(text):
    tokens = m.tokenise(text)
    assert tokens == TAKEN_APART[text].split()
    assert m.detokenise(tokens) == text.lower()


def bleu_by_hand(hypotheses, references):
    """Papineni et al. 2002, section 2, for words separated by spaces."""
    right, made = np.zeros(4), np.zeros(4)
    for hypothesis, reference in zip(hypotheses, references, strict=True):
        words, truth = hypothesis.split(), reference.split()
        for n in range(1, 5):
            grams, known = (
                Counter(tuple(of[i : i + n]) for i in range(len(of) - n + 1))
                for of in (words, truth)
            )
            right[n - 1] += sum((grams & known).values())
            made[n - 1] += sum(grams.values())
    length, true_length = (sum(len(s.split()) for s in of) for of in (hypotheses, references))
    brevity = math.exp(min(0.0, 1 - true_length / length))
    return 100 * brevity * math.exp(np.log(right / made).mean())


def test_bleu_is_that_of_the_paper_and_says_how_it_was_computed():
    references = ["the small dog runs over the green grass", "two men stand near a red car today"]
    hypotheses = ["the small dog runs over a green field", "two men stand near a car"]
    score, signature = m.bleu(hypotheses, references)
    np.testing.assert_allclose(score, bleu_by_hand(hypotheses, references), rtol=1e-9)
    assert "case:lc" in signature and "tok:13a" in signature and "nrefs:1" in signature
    upper = [text.upper() for text in hypotheses]
    np.testing.assert_allclose(m.bleu(upper, references).score, score, rtol=1e-9)
    assert m.bleu(upper, references, lowercase=False).score < 1e-3
    assert "case:mixed" in m.bleu(upper, references, lowercase=False).signature


def test_bad_sentences_and_a_missing_sacrebleu(monkeypatch):
    with pytest.raises(ValueError, match=r"hypotheses: .*got 1 for 2 references"):
        m.bleu(["a"], ["a", "b"])
    with pytest.raises(ValueError, match="at least one"):
        m.bleu([], [])
    with pytest.raises(TypeError, match="got a str"):
        m.bleu("a", "b")
    monkeypatch.setitem(sys.modules, "sacrebleu.metrics", None)
    with pytest.raises(ImportError, match="bleu: needs sacrebleu; pip install"):
        m.bleu(["a"], ["a"])


@pytest.mark.skipif("LSTM_JAX_DATA" not in os.environ, reason="LSTM_JAX_DATA names no folder")
@pytest.mark.slow
def test_the_published_captions():
    data = m.multi30k()
    sizes = [29_000, 1014, 1000]
    assert [len(split.sources) for split in data[:3]] == sizes
    assert [len(split.pairs.targets) for split in data[:3]] == sizes
    for lines in (data.train.sources, data.train.targets):
        same = [m.detokenise(m.tokenise(line)) == " ".join(line.lower().split()) for line in lines]
        assert np.mean(same) > 0.99
    test = data.test_2016_flickr.targets
    assert m.bleu([m.detokenise(m.tokenise(line)) for line in test], test).score > 99.9
    unknown = [(np.concatenate(s.pairs.targets) == UNKNOWN).mean() for s in data[:3]]
    assert unknown[0] < 0.04 and max(unknown[1:]) < 0.06

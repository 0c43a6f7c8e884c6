import os

import pytest

from lstm_jax.tasks import text


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "input.txt").write_text("To be, or\nnot to be:\n", "ascii")  # 21 characters
    return tmp_path


def test_the_last_tenth_is_for_validation(folder):
    data = text.shakespeare(folder=folder, verify=False)
    assert data.vocabulary.tokens == ("\n", " ", ",", ":", "T", "b", "e", "n", "o", "r", "t")
    assert "".join(data.vocabulary.decode(data.train)) == "To be, or\nnot to b"
    assert "".join(data.vocabulary.decode(data.validation)) == "e:\n"
    half = text.shakespeare(validation_share=0.5, folder=folder, verify=False)
    assert len(half.train) == 10 and len(half.validation) == 11
    with pytest.raises(ValueError, match=r"tokens: expected tokens of the vocabulary.*got 'x'"):
        data.vocabulary.encode("box")


def test_bad_input(folder):
    with pytest.raises(ValueError, match=r"validation_share: .*both parts, got 0\.99 of 21"):
        text.shakespeare(validation_share=0.99, folder=folder, verify=False)
    with pytest.raises(ValueError, match="validation_share"):
        text.shakespeare(validation_share=1.0, folder=folder, verify=False)
    with pytest.raises(ValueError, match=r"published input\.txt"):
        text.shakespeare(folder=folder)
    (folder / "input.txt").write_bytes(b"To be\n\xff")
    with pytest.raises(ValueError, match=r"input\.txt, line 2: expected text in utf-8"):
        text.shakespeare(folder=folder, verify=False)


@pytest.mark.skipif("LSTM_JAX_DATA" not in os.environ, reason="LSTM_JAX_DATA names no folder")
def test_the_published_text():
    data = text.shakespeare()
    assert [len(part) for part in data] == [1_003_854, 111_540, 65]
    assert set(data.train.tolist()) == set(range(65))
    assert "".join(data.vocabulary.decode(data.train[:14])) == "First Citizen:"

import json

import numpy as np
import pytest

from lstm_jax.tasks.vocabulary import END, PAD, SPECIALS, START, UNKNOWN, Vocabulary


def test_the_commonest_tokens_come_first_then_the_alphabet_decides():
    rows = ["cab", "bad", "bad", "Z"]  # a b: 3, d: 2, Z c: 1
    vocabulary = Vocabulary.from_rows(rows)
    assert vocabulary.tokens == (*SPECIALS, "a", "b", "d", "Z", "c")
    assert vocabulary == Vocabulary.from_rows(reversed(rows)) and len(vocabulary) == 9
    assert dict(vocabulary.ids) == {token: i for i, token in enumerate(vocabulary.tokens)}
    assert Vocabulary.from_rows(rows, min_count=2).tokens[4:] == ("a", "b", "d")
    assert Vocabulary.from_rows(rows, max_size=6).tokens[4:] == ("a", "b")
    assert Vocabulary.from_rows(rows, max_size=4).tokens == SPECIALS


def test_tokens_come_back_and_strange_ones_as_unknown():
    vocabulary = Vocabulary.from_counts({"the": 3, "cat": 2, "sat": 2})
    ids = vocabulary.encode(["the", "dog", "sat"])
    np.testing.assert_array_equal(ids, [4, UNKNOWN, 6])
    assert ids.dtype == np.int32
    assert vocabulary.decode(ids) == ["the", "<unknown>", "sat"]
    assert vocabulary.decode([START, 6, 5, END, 4, PAD]) == ["sat", "cat"]
    assert vocabulary.decode([PAD, 4, PAD]) == ["the"] and vocabulary.decode([]) == []
    again = Vocabulary.from_json(vocabulary.to_json())
    assert again == vocabulary and hash(again) == hash(vocabulary)
    accented = Vocabulary.from_rows(["Grün„"])
    assert accented.to_json().isascii() and Vocabulary.from_json(accented.to_json()) == accented


def test_a_vocabulary_without_specials_has_all_ids_for_tokens():
    rows = ["cab", "bad", "bad", "Z"]
    plain = Vocabulary.from_rows(rows, specials=False)
    assert plain.tokens == ("a", "b", "d", "Z", "c")
    np.testing.assert_array_equal(plain.encode("abcd"), [0, 1, 4, 2])
    assert plain.decode(range(5)) == list(plain.tokens)
    with pytest.raises(ValueError, match=r"tokens: .*none for unknown ones, got 'x'"):
        plain.encode("bax")
    common = Vocabulary.from_rows(rows, specials=False, unknown="d", max_size=3)
    assert common.tokens == ("a", "b", "d")
    np.testing.assert_array_equal(common.encode("abcZ"), [0, 1, 2, 2])
    for vocabulary in (plain, common):
        again = Vocabulary.from_json(vocabulary.to_json())
        assert again == vocabulary and hash(again) == hash(vocabulary)
    assert plain != Vocabulary(plain.tokens, specials=False, unknown="a")


def test_bad_input_names_the_argument():
    with pytest.raises(ValueError, match=r"unknown: expected one of the tokens, got '<unk>'"):
        Vocabulary(("a",), specials=False, unknown="<unk>")
    with pytest.raises(ValueError, match="text: expected"):
        Vocabulary.from_json('{"tokens": ["a"], "specials": 0}')
    with pytest.raises(ValueError, match=r"tokens: expected .* in front"):
        Vocabulary(("a", "b"))
    with pytest.raises(ValueError, match=r"tokens: .*got 'a' twice"):
        Vocabulary((*SPECIALS, "a", "a"))
    with pytest.raises(ValueError, match=r"counts: .*got '<end>'"):
        Vocabulary.from_counts({"<end>": 1})
    with pytest.raises(ValueError, match=r"max_size: .*got 3"):
        Vocabulary.from_counts({}, max_size=3)
    for text in ("", "[]", "{}", '{"tokens": "abc"}', json.dumps({"tokens": [*SPECIALS, 1]})):
        with pytest.raises(ValueError, match="text: expected"):
            Vocabulary.from_json(text)
    with pytest.raises(ValueError, match="ids: expected 0 to 3, got 9"):
        Vocabulary(SPECIALS).decode([1, 9])
    with pytest.raises(ValueError, match=r"ids: .*got shape \(1, 2\)"):
        Vocabulary(SPECIALS).decode(np.array([[1, 2]]))

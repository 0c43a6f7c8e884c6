import numpy as np
import pytest

from lstm_jax.tasks.text import Copied, longest_copied


def by_brute_force(text, training_text):
    """Every run, the longest first, then by its place in the training text and in the text."""
    for length in range(min(len(text), len(training_text)), 0, -1):
        for place in range(len(training_text) - length + 1):
            for start in range(len(text) - length + 1):
                if text[start : start + length] == training_text[place : place + length]:
                    return Copied(length, start, place)
    return Copied(0, 0, 0)


@pytest.mark.parametrize("letters", [1, 2, 3, 6])
def test_it_is_the_longest_run_of_all(letters):
    rng = np.random.default_rng(letters)
    for _ in range(150):
        text, training_text = (
            "".join(map(chr, 97 + rng.integers(0, letters, rng.integers(0, 16)))) for _ in range(2)
        )
        assert longest_copied(text, training_text) == by_brute_force(text, training_text)
        ids = [np.array([ord(letter) for letter in some], int) for some in (text, training_text)]
        assert longest_copied(*ids) == longest_copied(text, training_text)


def test_an_example_with_words():
    copied = longest_copied(
        ["the", "cat", "sat"], ["now", "the", "cat", "sleeps", "and", "the", "cat", "sat"]
    )
    assert copied == Copied(3, 0, 5)
    assert longest_copied("", "abc") == longest_copied("xyz", "abc") == Copied(0, 0, 0)


def test_bad_input():
    with pytest.raises(TypeError, match="training_text: expected a str if and only if text is"):
        longest_copied("abc", ["a", "b"])
    with pytest.raises(ValueError, match=r"text: expected one row \[N\], got shape \(2, 2\)"):
        longest_copied(np.zeros((2, 2), int), np.zeros(2, int))

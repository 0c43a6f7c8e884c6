"""What a generated text has in common with the text that the model was trained on."""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

from lstm_jax._internal.errors import WrongType, WrongValue

Tokens = str | Sequence[Hashable] | np.ndarray


class Copied(NamedTuple):
    """``text[start : start + length]`` is
    ``training_text[training_start : training_start + length]``."""

    length: int
    start: int
    training_start: int


def longest_copied(text: Tokens, training_text: Tokens) -> Copied:
    """The longest run of tokens of ``text`` that stands in ``training_text`` too.

    It is exact: a suffix automaton of ``text`` (Blumer et al. 1985) reads the training text. Time
    grows with the sum of the two lengths, one or two seconds per million tokens. Of several equally
    long runs it is the one that comes first in ``training_text``, at its first place in ``text``.

    Args:
        text, training_text: both str, where tokens are characters, or both lists of words, or
            lists or arrays ``[N]`` of ids. Without common tokens the length is 0.

    Example:
        copied = longest_copied(generated, training)
        generated[copied.start : copied.start + copied.length]
    """
    tokens, training_tokens = as_list("text", text), as_list("training_text", training_text)
    if isinstance(text, str) != isinstance(training_text, str):
        raise WrongType("training_text: expected a str if and only if text is one")

    # Each state stands for runs that end at the same places: the longest has `longest` tokens,
    # and `suffix` is the state of their longest suffix that ends at further places.
    follow: list[dict[Hashable, int]] = [{}]
    suffix, longest, first_end = [-1], [0], [-1]
    last = 0
    for place, token in enumerate(tokens):
        state, now = last, len(follow)
        follow.append({})
        suffix.append(0)
        longest.append(longest[last] + 1)
        first_end.append(place)
        while state >= 0 and token not in follow[state]:
            follow[state][token] = now
            state = suffix[state]
        if state >= 0:
            known = follow[state][token]
            if longest[known] > longest[state] + 1:  # only its shorter runs end here too
                shorter = len(follow)
                follow.append(dict(follow[known]))
                suffix.append(suffix[known])
                longest.append(longest[state] + 1)
                first_end.append(first_end[known])
                suffix[known] = shorter
                while state >= 0 and follow[state].get(token) == known:
                    follow[state][token] = shorter
                    state = suffix[state]
                known = shorter
            suffix[now] = known
        last = now

    best = Copied(0, 0, 0)
    state = length = 0
    for place, token in enumerate(training_tokens):
        while state and token not in follow[state]:
            state = suffix[state]
            length = longest[state]
        if token in follow[state]:
            state = follow[state][token]
            length += 1
        if length > best.length:
            best = Copied(length, first_end[state] - length + 1, place - length + 1)
    return best


def as_list(name: str, text: Tokens) -> list[Hashable]:
    if isinstance(text, np.ndarray):
        if text.ndim != 1:
            raise WrongValue(f"{name}: expected one row [N], got shape {text.shape}")
        return text.tolist()
    return list(text)

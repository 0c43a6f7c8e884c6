import collections
import functools
import os

import numpy as np
import pytest

from lstm_jax.tasks import text
from lstm_jax.tasks.text import ngrams

END = 0


def lines_of(ids, end):
    """Each line with the start, None, in front of it; without lines, the whole text."""
    if end is None:
        return [list(ids)]
    lines, line = [], [None]
    for token in ids:
        line.append(int(token))
        if token == end:
            lines.append(line)
            line = [None]
    return lines + ([line] if len(line) > 1 else [])


def counts_by_hand(ids, order, end):
    """Of every n-gram that ends in a token, as tuples."""
    counts = collections.Counter()
    for line in lines_of(ids, end):
        for length in range(1, order + 1):
            for stop in range(length, len(line) + 1):
                gram = tuple(line[stop - length : stop])
                if gram[-1] is not None:
                    counts[gram] += 1
    return counts


def kneser_ney_by_hand(ids, size, order, end):
    """Chen & Goodman 1999, equations 23 to 26, word by word: a function of context and token."""
    raw = counts_by_hand(ids, order, end)
    preceding = collections.defaultdict(set)
    for gram in raw:
        preceding[gram[1:]].add(gram[0])
    counts = {
        gram: raw[gram] if len(gram) == order or gram[0] is None else len(preceding[gram])
        for gram in raw
    }
    discounts = {}
    for length in range(1, order + 1):
        n = [sum(c == k for g, c in counts.items() if len(g) == length) for k in range(5)]
        discounts[length] = [0, 0.5, 1, 1.5]
        if all(n[1:]):
            y = n[1] / (n[1] + 2 * n[2])
            estimates = [k - (k + 1) * y * n[k + 1] / n[k] for k in (1, 2, 3)]
            if min(estimates) > 0:
                discounts[length] = [0, *estimates]

    @functools.cache
    def probability(context, token):
        lower = probability(context[1:], token) if context else 1 / size
        followers = {g: c for g, c in counts.items() if g[:-1] == context}
        total = sum(followers.values())
        if not total:
            return lower
        taken = {g: discounts[len(g)][min(c, 3)] for g, c in followers.items()}
        gram = (*context, token)
        own = (followers[gram] - taken[gram]) / total if gram in followers else 0.0
        return own + sum(taken.values()) / total * lower

    return probability


def witten_bell_by_hand(ids, size, order, end):
    counts = counts_by_hand(ids, order, end)

    @functools.cache
    def probability(context, token):
        lower = probability(context[1:], token) if context else 1 / size
        followers = {g: c for g, c in counts.items() if g[:-1] == context}
        total, different = sum(followers.values()), len(followers)
        if not total:
            return lower
        return (followers.get((*context, token), 0) + different * lower) / (total + different)

    return probability


def log_probabilities_by_hand(probability, ids, order, end):
    return [
        np.log(probability(tuple(line[max(0, place - order + 1) : place]), token))
        for line in lines_of(ids, end)
        for place, token in enumerate(line)
        if token is not None
    ]


def drawn(seed, count, size):
    """Tokens that depend on the one before, so that some n-grams are common and others rare."""
    rng = np.random.default_rng(seed)
    chances = rng.dirichlet(np.full(size, 0.3), size)
    tokens = [END]
    while len(tokens) < count:
        tokens.append(rng.choice(size, p=chances[tokens[-1]]))
    return np.array(tokens[::-1], np.int32)


MODELS = [
    (ngrams.kneser_ney, kneser_ney_by_hand),
    (ngrams.witten_bell, witten_bell_by_hand),
]


@pytest.mark.parametrize("end", [None, END])
@pytest.mark.parametrize(("fit", "by_hand"), MODELS)
@pytest.mark.parametrize(("count", "size", "order"), [(400, 8, 3), (60, 3, 5), (3, 4, 5)])
def test_probabilities_are_those_of_the_formulas(fit, by_hand, end, count, size, order):
    ids = drawn(count, count, size)
    new = np.random.default_rng(1).integers(0, size, 60)  # with n-grams that ids has not
    model, probability = fit(ids, size, order, end=end), by_hand(ids, size, order, end)
    for some in (ids, new):
        expected = log_probabilities_by_hand(probability, some, order, end)
        np.testing.assert_allclose(model.log_probabilities(some), expected, rtol=1e-10)


def test_the_discounts_are_estimated():
    # 4, 3, 2 and 1 n-grams that occur once, twice, three and four times.
    counts = np.repeat([1.0, 2, 3, 4, 9], [4, 3, 2, 1, 2])
    expected = 1 - 0.4 * 2 * 3 / 4, 2 - 0.4 * 3 * 2 / 3, 3 - 0.4 * 4 * 1 / 2
    np.testing.assert_allclose(ngrams.estimate_discounts(counts), expected)
    assert ngrams.estimate_discounts(counts[counts != 4]) == (0.5, 1, 1.5)


@pytest.mark.parametrize("end", [None, END])
@pytest.mark.parametrize("fit", [ngrams.kneser_ney, ngrams.witten_bell])
def test_the_next_token_has_a_distribution(fit, end):
    ids = drawn(0, 300, 6)
    model = fit(ids, 7, 4, end=end)  # token 6 does not occur
    for context in ([], [END], [6], ids[:1], ids[:2], ids[:50], [5, END, 3], [6, 6, 2, 1]):
        context = np.array(context, int)
        distribution = model.probabilities(context)
        np.testing.assert_allclose(distribution.sum(), 1, rtol=1e-12)
        assert (distribution > 0).all()
        with_each = [model.log_probabilities(np.append(context, w))[-1] for w in range(7)]
        np.testing.assert_allclose(np.log(distribution), with_each, rtol=1e-10)


def test_bad_input():
    for ids, message in (
        ([], "ids: expected at least one token"),
        ([0, 7], r"ids: expected 0 to 6, got 7"),
        ([[1]], r"ids: expected one row \[N\], got shape \(1, 1\)"),
    ):
        with pytest.raises(ValueError, match=message):
            ngrams.kneser_ney(np.array(ids, int), 7)
    ids = np.array([1, 2, 3])
    with pytest.raises(TypeError, match="ids: expected integers, got float64"):
        ngrams.witten_bell(ids / 2, 7)
    with pytest.raises(ValueError, match="end: expected a token of ids, got 5"):
        ngrams.kneser_ney(ids, 7, end=5)
    with pytest.raises(ValueError, match="order: expected a positive integer, got 0"):
        ngrams.kneser_ney(ids, 7, 0)
    with pytest.raises(ValueError, match="context: expected 0 to 6, got 9"):
        ngrams.kneser_ney(ids, 7).probabilities(np.array([9]))


@pytest.mark.skipif("LSTM_JAX_DATA" not in os.environ, reason="LSTM_JAX_DATA names no folder")
def test_the_perplexities_of_the_penn_treebank():
    data = text.ptb()
    for end, expected in ((None, (147.7, 141.1)), (data.vocabulary.ids["<eos>"], (148.0, 141.2))):
        model = ngrams.kneser_ney(data.train, 10_000, end=end)
        for part, perplexity in zip((data.validation, data.test), expected, strict=True):
            got = np.exp(-model.log_probabilities(part).mean())
            np.testing.assert_allclose(got, perplexity, atol=0.05)


@pytest.mark.skipif("LSTM_JAX_DATA" not in os.environ, reason="LSTM_JAX_DATA names no folder")
def test_the_losses_on_tiny_shakespeare():
    data = text.shakespeare()
    for fit, order, expected in (
        (ngrams.witten_bell, 5, 1.669),
        (ngrams.kneser_ney, 5, 1.561),
        (ngrams.kneser_ney, 7, 1.517),
    ):
        model = fit(data.train, 65, order)
        got = -model.log_probabilities(data.validation).mean()
        np.testing.assert_allclose(got, expected, atol=0.0005)
        np.testing.assert_allclose(model.probabilities(data.train[-20:]).sum(), 1, rtol=1e-12)

"""N-gram models, which count: what a neural language model has to beat.

They have the interpolated form of Chen & Goodman 1999, "An empirical study of smoothing
techniques for language modeling",

    p(w | h) = own(h w) + share(h) p(w | h without its first token)

down to the uniform distribution. For a context h that was never seen, own is 0 and share 1.

=================  ==================================  ==========================
data               model                               validation, test
=================  ==================================  ==========================
PTB                ``kneser_ney``, order 5             perplexity 147.7, 141.1
PTB                the same, with ``end``              perplexity 148.0, 141.2
tiny Shakespeare   ``witten_bell``, order 5            1.669 nats per character
tiny Shakespeare   ``kneser_ney``, order 5             1.561 nats per character
tiny Shakespeare   ``kneser_ney``, order 7 (the best)  1.517 nats per character
=================  ==================================  ==========================
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongType, WrongValue

# For data without n-grams that occur once, twice, three and four times.
DISCOUNTS = (0.5, 1.0, 1.5)

NO_KEY = np.iinfo(np.int64).max

# own and share of the n-grams of one length, from their counts and the numbers of their contexts.
Smoothing = Callable[
    [Float64[np.ndarray, "K"], Int64[np.ndarray, "K"], int],
    tuple[Float64[np.ndarray, "K"], Float64[np.ndarray, "C"]],
]


class Level(NamedTuple):
    """The n-grams of one length; the number of each is its place in ``keys``.

    keys: the number of the context times the size of the vocabulary, plus the last token; in
        order, and then NO_KEY.
    own: the part of the probability, and then 0.
    share: by the number of the context, and then 1.
    """

    keys: Int64[np.ndarray, "K+1"]
    own: Float64[np.ndarray, "K+1"]
    share: Float64[np.ndarray, "C+1"]


class Ngrams(NamedTuple):
    """A fitted model.

    size: of the vocabulary.
    end: the token that ends a line, beyond which no context reaches; None for text in one piece.
    levels: those of single tokens, pairs and so on.
    """

    size: int
    end: int | None
    levels: tuple[Level, ...]

    def log_probabilities(self, ids: np.ndarray) -> Float64[np.ndarray, "N"]:
        """The natural logarithm of the probability of each of the tokens ``[N]``, given those
        before it.

        The first token has no context; if there is an ``end``, it is the first of its line.
        """
        tokens = with_start(check_ids("ids", ids, self.size), self.end)
        probabilities = mix(self, *look_up(self, tokens))
        return np.log(probabilities[len(tokens) - len(ids) :])

    def probabilities(self, context: np.ndarray) -> Float64[np.ndarray, "V"]:
        """The distribution of the token that follows ``context`` ``[N]``, which may be empty."""
        context = check_ids("context", context, self.size)[-len(self.levels) :]
        _, numbers = look_up(self, with_start(context, self.end))
        before = [np.zeros(1, np.int64), *(some[-1:] for some in numbers)]
        contexts = [
            np.full(self.size, some[0] if some.size else -1) for some in before[: len(self.levels)]
        ]
        tokens = np.arange(self.size)
        found = [
            find(level, of, tokens, self.size)
            for level, of in zip(self.levels, contexts, strict=True)
        ]
        return mix(self, contexts, found)


def kneser_ney(ids: np.ndarray, size: int, order: int = 5, *, end: int | None = None) -> Ngrams:
    """Modified Kneser-Ney smoothing (Chen & Goodman 1999, section 3).

    The discounts of each length are the paper's estimates; where no n-grams occur once, twice,
    three or four times, as with single characters, they are 0.5, 1 and 1.5.

    Args:
        ids: the tokens to count, ``[N]``, from 0 to ``size`` - 1.
        size: the number of tokens in the vocabulary.
        order: the longest n-grams; their contexts have ``order`` - 1 tokens.
        end: the token that ends each line. It is counted like any other, and also stands for the
            start of the line that follows; contexts do not reach beyond it. None: the text is one
            piece.

    PTB takes a few seconds.

    Example:
        model = kneser_ney(data.train, 10_000, end=data.vocabulary.ids["<eos>"])
        perplexity = np.exp(-model.log_probabilities(data.test).mean())
    """
    return fit(ids, size, order, end, discounted, continuations=True)


def witten_bell(ids: np.ndarray, size: int, order: int = 5, *, end: int | None = None) -> Ngrams:
    """Witten-Bell smoothing (Witten & Bell 1991, method C; Chen & Goodman 1999, section 2.6): a
    context that occurred n times, and was followed by m different tokens, has a share of
    m / (n + m).

    Args and cost: as ``kneser_ney``.
    """
    return fit(ids, size, order, end, by_novelty, continuations=False)


def fit(
    ids: np.ndarray,
    size: int,
    order: int,
    end: int | None,
    smoothing: Smoothing,
    *,
    continuations: bool,
) -> Ngrams:
    """Counts the n-grams of all lengths. With ``continuations``, what is counted of those shorter
    than ``order`` is how many tokens precede them, except at the start of a line."""
    size, order = checking.positive_int("size", size), checking.positive_int("order", order)
    ids = check_ids("ids", ids, size)
    if not ids.size:
        raise WrongValue("ids: expected at least one token, got none")
    if end is not None and checking.seed("end", end, size) not in ids:
        raise WrongValue(f"end: expected a token of ids, got {end}")
    tokens = with_start(ids, end)

    # The number of the n-gram that ends at each position, or -1, for one n after the other.
    contexts = np.zeros(len(tokens), np.int64)
    contexts_count = 1
    tables = []
    for length in range(1, order + 1):
        present = contexts >= 0
        if end is not None and length > 2:
            present[1:] &= tokens[:-1] != end
        places = np.flatnonzero(present)
        keys, first, number, counts = np.unique(
            contexts[places] * size + tokens[places],
            return_index=True,
            return_inverse=True,
            return_counts=True,
        )
        numbers = np.full(len(tokens), -1)
        numbers[places] = number
        counts = counts.astype(np.float64)
        if end is not None and length == 1:
            counts[numbers[0]] -= 1  # it was put there, as the start of the first line
        first = places[first]
        at_start = np.zeros(len(keys), bool)
        if end is not None and length > 1:
            at_start = tokens[first - length + 1] == end
        tables.append((keys, counts, numbers, first, at_start, contexts_count))
        contexts, contexts_count = after(numbers), len(keys)

    levels = []
    for place, (keys, counts, numbers, _, at_start, contexts_count) in enumerate(tables):
        if continuations and place + 1 < order:
            longer = tables[place + 1][3]
            preceded = np.bincount(numbers[longer], minlength=len(keys)).astype(np.float64)
            counts = np.where(at_start, counts, preceded)
        own, share = smoothing(counts, keys // size, contexts_count)
        levels.append(Level(np.append(keys, NO_KEY), np.append(own, 0.0), np.append(share, 1.0)))
    return Ngrams(size, end, tuple(levels))


def discounted(
    counts: Float64[np.ndarray, "K"], contexts: Int64[np.ndarray, "K"], contexts_count: int
) -> tuple[Float64[np.ndarray, "K"], Float64[np.ndarray, "C"]]:
    """Equations 23 to 26 of Chen & Goodman 1999."""
    by_count = np.array([0.0, *estimate_discounts(counts)])
    discounts = by_count[np.minimum(counts, 3).astype(int)]
    total = np.bincount(contexts, counts, contexts_count)
    removed = np.bincount(contexts, discounts, contexts_count)
    seen = total > 0
    share = np.divide(removed, total, out=np.ones(contexts_count), where=seen)
    own = np.divide(counts - discounts, total[contexts], out=np.zeros(len(counts)),
                    where=seen[contexts])  # fmt: skip
    return own, share


def estimate_discounts(counts: Float64[np.ndarray, "K"]) -> tuple[float, float, float]:
    """What is taken from the counts 1, 2, and 3 or more."""
    once, twice, thrice, four = (float((counts == n).sum()) for n in range(1, 5))
    if not (once and twice and thrice and four):
        return DISCOUNTS
    ratio = once / (once + 2 * twice)
    estimates = (
        1 - 2 * ratio * twice / once,
        2 - 3 * ratio * thrice / twice,
        3 - 4 * ratio * four / thrice,
    )
    return estimates if min(estimates) > 0 else DISCOUNTS


def by_novelty(
    counts: Float64[np.ndarray, "K"], contexts: Int64[np.ndarray, "K"], contexts_count: int
) -> tuple[Float64[np.ndarray, "K"], Float64[np.ndarray, "C"]]:
    """Witten & Bell's smoothing."""
    total = np.bincount(contexts, counts, contexts_count)
    different = np.bincount(contexts, counts > 0, contexts_count)
    seen = total > 0
    share = np.divide(different, total + different, out=np.ones(contexts_count), where=seen)
    own = np.divide(counts, (total + different)[contexts], out=np.zeros(len(counts)),
                    where=seen[contexts])  # fmt: skip
    return own, share


def look_up(
    model: Ngrams, tokens: Int64[np.ndarray, "N"]
) -> tuple[list[Int64[np.ndarray, "N"]], list[Int64[np.ndarray, "N"]]]:
    """For each level, the numbers of the context of each token, and of the n-gram that it ends;
    -1 if the model has not seen it."""
    contexts, numbers = [np.zeros(len(tokens), np.int64)], []
    for level in model.levels:
        numbers.append(find(level, contexts[-1], tokens, model.size))
        contexts.append(after(numbers[-1]))
    return contexts[:-1], numbers


def find(
    level: Level, contexts: Int64[np.ndarray, "N"], tokens: Int64[np.ndarray, "N"], size: int
) -> Int64[np.ndarray, "N"]:
    keys = contexts * size + tokens
    places = np.searchsorted(level.keys, keys)
    return np.where((contexts >= 0) & (level.keys[places] == keys), places, -1)


def mix(
    model: Ngrams, contexts: list[Int64[np.ndarray, "N"]], numbers: list[Int64[np.ndarray, "N"]]
) -> Float64[np.ndarray, "N"]:
    """The probabilities; -1 takes the last entries of ``own`` and ``share``."""
    probabilities = np.full(len(numbers[0]), 1 / model.size)
    for level, of, number in zip(model.levels, contexts, numbers, strict=True):
        probabilities = level.own[number] + level.share[of] * probabilities
    return probabilities


def after(numbers: Int64[np.ndarray, "N"]) -> Int64[np.ndarray, "N"]:
    """The numbers of the n-grams before each position, which are contexts of longer ones."""
    return np.concatenate([np.full(min(1, len(numbers)), -1), numbers[:-1]])


def with_start(tokens: Int64[np.ndarray, "N"], end: int | None) -> Int64[np.ndarray, "N1"]:
    """With the token in front that stands for the start of the first line."""
    return tokens if end is None else np.concatenate([[end], tokens])


def check_ids(name: str, ids: np.ndarray, size: int) -> Int64[np.ndarray, "N"]:
    tokens = np.asarray(ids)
    if not np.issubdtype(tokens.dtype, np.integer) and tokens.size:
        raise WrongType(f"{name}: expected integers, got {tokens.dtype}")
    if tokens.ndim != 1:
        raise WrongValue(f"{name}: expected one row [N], got shape {tokens.shape}")
    wrong = tokens[(tokens < 0) | (tokens >= size)]
    if wrong.size:
        raise WrongValue(f"{name}: expected 0 to {size - 1}, got {wrong[0]}")
    return tokens.astype(np.int64)

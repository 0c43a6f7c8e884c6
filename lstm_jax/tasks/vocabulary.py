"""Vocabularies: tokens, words or characters, and their ids."""

import collections
import dataclasses
import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import jax
import numpy as np
from jaxtyping import Int32

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongType, WrongValue

PAD, START, END, UNKNOWN = range(4)
SPECIALS = ("<pad>", "<start>", "<end>", "<unknown>")  # their ids are their positions

Ids = np.ndarray | jax.Array


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """Tokens and their ids, which are their positions in ``tokens``.

    Attributes:
        tokens: all distinct.
        specials: whether the first four are SPECIALS, as batches of pairs need them.
        unknown: the token whose id stands for tokens that are not in here. None: "<unknown>" if
            there are specials; otherwise such tokens are an error.

    Raises ValueError for tokens that do not begin with the specials or are not all distinct.
    """

    tokens: tuple[str, ...]
    specials: bool = True
    unknown: str | None = None

    def __post_init__(self) -> None:
        if self.specials and self.tokens[: len(SPECIALS)] != SPECIALS:
            got = self.tokens[: len(SPECIALS)]
            raise WrongValue(f"tokens: expected {SPECIALS} in front, got {got}")
        if len(set(self.tokens)) != len(self.tokens):
            twice = collections.Counter(self.tokens).most_common(1)[0][0]
            raise WrongValue(f"tokens: expected distinct tokens, got {twice!r} twice")
        if self.unknown is not None and self.unknown not in self.tokens:
            raise WrongValue(f"unknown: expected one of the tokens, got {self.unknown!r}")

    @classmethod
    def from_counts(
        cls,
        counts: Mapping[str, int],
        *,
        min_count: int = 1,
        max_size: int | None = None,
        specials: bool = True,
        unknown: str | None = None,
    ) -> "Vocabulary":
        """The commonest tokens first, equally common ones in alphabetical order.

        Args:
            counts: how often each token occurs.
            min_count: rarer tokens are left out.
            max_size: the most tokens in all, specials included; None for no limit.
            specials, unknown: of the vocabulary.
        """
        min_count = checking.positive_int("min_count", min_count)
        front = SPECIALS if checking.flag("specials", specials) else ()
        for special in front:
            if special in counts:
                raise WrongValue(f"counts: expected no special token, got {special!r}")
        kept = [token for token, count in counts.items() if count >= min_count]
        kept.sort(key=lambda token: (-counts[token], token))
        if max_size is not None:
            if checking.positive_int("max_size", max_size) < len(front):
                raise WrongValue(f"max_size: expected at least the 4 specials, got {max_size}")
            kept = kept[: max_size - len(front)]
        return cls((*front, *kept), specials, unknown)

    @classmethod
    def from_rows(
        cls,
        rows: Iterable[Iterable[str]],
        *,
        min_count: int = 1,
        max_size: int | None = None,
        specials: bool = True,
        unknown: str | None = None,
    ) -> "Vocabulary":
        """``from_counts`` of the tokens in ``rows``."""
        counts = collections.Counter(token for row in rows for token in row)
        return cls.from_counts(
            counts, min_count=min_count, max_size=max_size, specials=specials, unknown=unknown
        )

    @classmethod
    def from_json(cls, text: str) -> "Vocabulary":
        """What ``to_json`` wrote. Raises ValueError for anything else."""
        try:
            fields = json.loads(text)
            tokens = fields["tokens"]
            specials, unknown = fields.get("specials", True), fields.get("unknown")
            if not (
                isinstance(tokens, list)
                and all(isinstance(token, str) for token in tokens)
                and isinstance(specials, bool)
                and isinstance(unknown, str | None)
            ):
                raise WrongType
        except (json.JSONDecodeError, KeyError, TypeError):
            start = text[:40]
            raise WrongValue(
                f'text: expected {{"tokens": [strings]}}, as to_json writes it, got {start!r}...'
            ) from None
        return cls(tuple(tokens), specials, unknown)

    def to_json(self) -> str:
        """One line of ASCII, the same for equal vocabularies."""
        fields: dict[str, object] = {"tokens": self.tokens}
        if not self.specials:
            fields["specials"] = False
        if self.unknown is not None:
            fields["unknown"] = self.unknown
        return json.dumps(fields)

    @functools.cached_property
    def ids(self) -> Mapping[str, int]:
        return MappingProxyType({token: number for number, token in enumerate(self.tokens)})

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, tokens: Iterable[str]) -> Int32[np.ndarray, "N"]:
        """The ids of ``tokens`` (of the characters of a str).

        Tokens that are not in here get the id of ``unknown``. Raises ValueError for them if the
        vocabulary has neither ``unknown`` nor specials.
        """
        ids = self.ids
        if self.specials or self.unknown is not None:
            unknown = UNKNOWN if self.unknown is None else ids[self.unknown]
            return np.array([ids.get(token, unknown) for token in tokens], np.int32)
        try:
            return np.array([ids[token] for token in tokens], np.int32)
        except KeyError as error:
            raise WrongValue(
                f"tokens: expected tokens of the vocabulary, which has none for unknown ones, got "
                f"{error.args[0]!r}"
            ) from None

    def decode(self, ids: Ids | Sequence[int]) -> list[str]:
        """The tokens of one row of ids ``[N]``.

        With specials: those up to the first END; START and padding are left out.

        Raises ValueError for ids that are not in this vocabulary.
        """
        row = np.asarray(ids, np.int64)
        if row.ndim != 1:
            raise WrongValue(f"ids: expected one row [N], got shape {row.shape}")
        if self.specials:
            ends = np.flatnonzero(row == END)
            row = row[: ends[0]] if ends.size else row
        wrong = row[(row < 0) | (row >= len(self))]
        if wrong.size:
            raise WrongValue(f"ids: expected 0 to {len(self) - 1}, got {wrong[0]}")
        left_out = (PAD, START) if self.specials else ()
        return [self.tokens[number] for number in row if number not in left_out]

"""Multi30k: captions of photographs in English and German, to be translated.

Elliott, Frank, Sima'an & Specia 2016, "Multi30K: Multilingual English-German image descriptions",
task 1: 29,000 pairs for training, 1,014 for validation, and the 1,000 of test_2016_flickr. The
captions derive from those of Flickr30k; the repository states no licence, so none is kept here.
"""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax.tasks import files
from lstm_jax.tasks.pairs.data import Pairs
from lstm_jax.tasks.vocabulary import Vocabulary

Language = Literal["en", "de"]

LANGUAGES = ("en", "de")
SPLITS = {"train": "train", "validation": "val", "test_2016_flickr": "test_2016_flickr"}
PUBLISHED = files.Published(
    task="multi30k",
    folder="translation",
    address="https://raw.githubusercontent.com/multi30k/dataset/master/data/task1/raw/",
    checksums={
        "train.en.gz": "d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f",
        "train.de.gz": "726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6",
        "val.en.gz": "14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28",
        "val.de.gz": "f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a",
        "test_2016_flickr.en.gz": (
            "611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9"
        ),
        "test_2016_flickr.de.gz": (
            "9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8"
        ),
    },
)

APOSTROPHES = "'\N{RIGHT SINGLE QUOTATION MARK}"

# A number with points or commas in it; a word, hyphens included; the "'s" that follows a word;
# and every other sign by itself.
TOKEN = re.compile(rf"\d+(?:[.,]\d+)+|\w+(?:-\w+)*|(?<=\w)[{APOSTROPHES}]\w+|[^\w\s]")

ATTACHED_LEFT = frozenset(".,;:!?)]}%”…" + APOSTROPHES)
ATTACHED_RIGHT = frozenset("([{#$„")


class CaptionSplit(NamedTuple):
    """The captions of one split.

    sources, targets: as they stand in the files; ``targets`` are the references for ``bleu``.
    pairs: the same as ids, row by row.
    """

    sources: list[str]
    targets: list[str]
    pairs: Pairs


class Multi30k(NamedTuple):
    """The three splits, and vocabularies of the training captions only."""

    train: CaptionSplit
    validation: CaptionSplit
    test_2016_flickr: CaptionSplit
    source_vocabulary: Vocabulary
    target_vocabulary: Vocabulary


class Bleu(NamedTuple):
    """A BLEU score.

    score: 0 to 100.
    signature: how it was computed, as sacrebleu writes it.
    """

    score: float
    signature: str


def multi30k(
    source: Language = "en",
    target: Language = "de",
    *,
    folder: str | os.PathLike[str] | None = None,
    min_count: int = 2,
    max_size: int | None = None,
    verify: bool = True,
) -> Multi30k:
    """The captions as text and as ids of ``tokenise``'s tokens.

    Args:
        source, target: "en" or "de", and not the same one twice.
        folder: has the files ``train.en.gz``, ``val.en.gz``, ``test_2016_flickr.en.gz`` and those
            in ``de``. None: the folder ``translation`` in the one that the environment variable
            LSTM_JAX_DATA names; if that is not set, the files are downloaded once, into the user's
            cache.
        min_count, max_size: as in ``Vocabulary.from_counts``, for each language by itself.
        verify: compare the files' SHA-256 with the published ones. Downloads always are compared.

    Raises:
        FileNotFoundError: for missing files.
        ValueError: for files that are not the published ones, or malformed.
        OSError: if the download fails.
        ImportError: if the download is needed and pooch is missing.
    """
    checking.choice("source", source, LANGUAGES)
    checking.choice("target", target, LANGUAGES)
    if source == target:
        raise WrongValue(f"target: expected another language than source, got {target!r} for both")
    verify = checking.flag("verify", verify)
    texts: dict[str, list[list[str]]] = {}
    for split, stem in SPLITS.items():
        names = [f"{stem}.{language}.gz" for language in (source, target)]
        paths = [files.find(name, PUBLISHED, folder, verify) for name in names]
        texts[split] = sources, targets = [read(path) for path in paths]
        if len(sources) != len(targets):
            raise WrongValue(
                f"{paths[0]}: expected as many lines as {paths[1].name} has, {len(targets)}, got "
                f"{len(sources)}"
            )
    tokens = {split: [list(map(tokenise, text)) for text in both] for split, both in texts.items()}
    source_vocabulary, target_vocabulary = (
        Vocabulary.from_rows(rows, min_count=min_count, max_size=max_size)
        for rows in tokens["train"]
    )

    def caption_split(split: str) -> CaptionSplit:
        sources = [source_vocabulary.encode(row) for row in tokens[split][0]]
        targets = [target_vocabulary.encode(row) for row in tokens[split][1]]
        return CaptionSplit(texts[split][0], texts[split][1], Pairs(sources, targets))

    return Multi30k(
        caption_split("train"),
        caption_split("validation"),
        caption_split("test_2016_flickr"),
        source_vocabulary,
        target_vocabulary,
    )


def read(path: Path) -> list[str]:
    """The lines of a gzip file of UTF-8 text. Raises ValueError for any other file."""
    try:
        text = files.unpack(path, "UTF-8 text").decode()
    except UnicodeDecodeError as error:
        raise WrongValue(f"{path}: expected a gzip file of UTF-8 text, got {error}") from None
    # Not splitlines: captions may contain characters that Unicode counts as line ends.
    lines = text.removesuffix("\n").split("\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            raise WrongValue(f"{path}: expected a caption in every line, got line {number} empty")
    return lines


def tokenise(text: str) -> list[str]:
    """Lower-case words, numbers and signs: "A T-shirt, the man's." becomes ``a``, ``t-shirt``,
    ``,``, ``the``, ``man``, ``'s`` and ``.``."""
    return TOKEN.findall(text.lower())


def detokenise(tokens: Iterable[str]) -> str:
    """Text with the usual spaces, for ``bleu``: undoes ``tokenise``.

    Straight quotation marks open and close in turn. Upper case is lost.
    """
    text, space, quoted = "", "", False
    for token in tokens:
        opens = token in ATTACHED_RIGHT or (token in ('"', "“") and not quoted)
        closes = token in ('"', "“", "”") and quoted
        clitic = len(token) > 1 and token[0] in APOSTROPHES
        if closes or clitic or token in ATTACHED_LEFT:
            space = ""
        if token == "/":
            space, opens = "", True
        if token in ('"', "“", "”", "„"):
            quoted = not closes
        text += space + token
        space = "" if opens else " "
    return text


def bleu(hypotheses: Sequence[str], references: Sequence[str], *, lowercase: bool = True) -> Bleu:
    """Corpus BLEU (Papineni et al. 2002) by sacrebleu (Post 2018, "A call for clarity in
    reporting BLEU scores"), with its own tokeniser; one reference per sentence.

    Args:
        hypotheses: detokenised text, such as ``detokenise`` gives.
        references: raw text.
        lowercase: ignore case, as the tokens do; the signature says so.

    Raises:
        ImportError: if sacrebleu is missing.
    """
    if isinstance(hypotheses, str) or isinstance(references, str):
        raise WrongType("hypotheses: expected lists of sentences, as references too, got a str")
    if len(hypotheses) != len(references) or not references:
        raise WrongValue(
            "hypotheses: expected one for each reference, and at least one, got "
            f"{len(hypotheses)} for {len(references)} references"
        )
    try:
        from sacrebleu.metrics import BLEU
    except ImportError:
        raise ImportError("bleu: needs sacrebleu; pip install 'lstm_jax[experiments]'") from None
    metric = BLEU(lowercase=checking.flag("lowercase", lowercase))
    score = metric.corpus_score(list(hypotheses), [list(references)]).score
    return Bleu(float(score), str(metric.get_signature()))

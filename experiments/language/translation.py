"""English captions to German ones: attention against a fixed vector, in BLEU.

    LSTM_JAX_DATA=FOLDER python -m experiments translation

Multi30k, task 1 (Elliott et al. 2016), 29,000 training pairs, from the folder that LSTM_JAX_DATA
names or downloaded. The vocabulary is of the training text. Curves and learning rates are by the
cross-entropy of the validation captions; BLEU (sacrebleu) is of test_2016_flickr, by greedy
decoding and by beam search, and it is case-insensitive; a word outside the vocabulary is written
"unk", and is wrong.

Expect, in 15 minutes on two cores (1,500 steps of 64 captions, not quite three and a half times
through the training text): BLEU 30 by beam search with additive attention, 28 greedily; 17 and 15
with a fixed vector. The curves still fall; more is to be had from more steps. The numbers of one
such run are kept in experiments/results/translation. What to try on a GPU, and was not run here:

    python -m experiments translation --min-count 2 --parameters 12_000_000 --embedding-size 256 \\
        --steps 9000 --batch-size 128 --dropout 0.4 --longest 40 --learning-rate 1e-3
"""

import dataclasses
import functools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness.run.jobs import Job
from experiments.harness.run.learning_rates import rates_from_defaults
from experiments.harness.run.parts import in_parts
from experiments.harness.run.setting import FurtherResults, Scores, Setting
from experiments.language import _pairs
from lstm_jax import seq2seq
from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.tasks import PairBatch, Pairs, PairTask, Score, Vocabulary
from lstm_jax.tasks.pairs import multi30k
from lstm_jax.tasks.pairs.data import END, SPECIALS, UNKNOWN

TIME = "15 min"

# One rate was tried.
RATES = {"additive": 2e-3, "fixed": 2e-3}
EXAMPLES = 3
ROWS = 50  # that are scored or decoded at once


@dataclasses.dataclass(frozen=True)
class Config(_pairs.PairTraining):
    seeds: int = 2
    steps: int = 1500
    every: int = 250
    batch_size: int = 64
    parameters: int = 1_500_000
    embedding_size: int = 96
    dropout: float = 0.2
    label_smoothing: float = 0.1
    min_count: int = 5
    """Rarer words of the training text are unknown."""
    longest: int = 24
    """Longer training pairs, in words with the end, are left out."""
    width: int = 5
    """Hypotheses of the beam search."""
    length_penalty: float = 1.0
    """Of the beam search (Wu et al. 2016, eq. 14)."""


def settings(config: Config) -> list[Setting]:
    checking.positive_int("width", config.width)
    checking.real("length_penalty", config.length_penalty)
    multi30k.bleu(["."], ["."])  # raises before training where sacrebleu is missing
    data = multi30k.multi30k(min_count=config.min_count)
    training = short_pairs(data.train.pairs, config.longest)
    validation, test = (
        _pairs.on_device(_pairs.whole(split.pairs, _pairs.widest(split.pairs)))
        for split in (data.validation, data.test_2016_flickr)
    )
    vocabularies = (data.source_vocabulary, data.target_vocabulary)
    sizes = (len(vocabularies[0]), len(vocabularies[1]))
    task = PairTask(
        name=f"multi30k({len(training.sources)} pairs, {sizes[0]} and {sizes[1]} tokens)",
        source_size=sizes[0],
        target_size=sizes[1],
        sample=_pairs.sample_pairs(training, (config.longest, config.longest)),
        validation=validation,
        test=test,
        loss=_pairs.cross_entropy(config.label_smoothing),
        score=Score("nats a token", mean_loss, higher_is_better=False, chance=unigram(data)),
    )
    model = functools.partial(_pairs.pair_model, token_losses)
    further = functools.partial(bleu, data, config)
    return [
        Setting(
            task, config, rates_from_defaults(RATES, config, "cell"), model=model, further=further
        )
    ]


def short_pairs(rows: Pairs, longest: int) -> Pairs:
    """The pairs that fit. Raises ValueError where none does."""
    source, target = rows.lengths()
    kept = np.flatnonzero((source <= longest) & (target <= longest)).tolist()
    if not kept:
        raise WrongValue(f"longest: expected a length that some pairs have, got {longest}")
    return Pairs([rows.sources[i] for i in kept], [rows.targets[i] for i in kept])


def unigram(data: multi30k.Multi30k) -> float:
    """The cross-entropy of the best answer that looks at nothing: the test tokens' frequencies."""
    rows = data.test_2016_flickr.pairs.targets
    ids = np.concatenate([np.append(row, END) for row in rows])
    shares = np.unique_counts(ids).counts / len(ids)
    return float(-np.sum(shares * np.log(shares)))


def token_losses(model: seq2seq.Seq2Seq, params: Any, batch: PairBatch) -> jax.Array:
    """Nats of each row's tokens together ``[B]``."""

    def of_rows(rows: PairBatch) -> jax.Array:
        logs = model.log_probabilities(
            params, rows.source, rows.target,
            source_lengths=rows.source_lengths, target_lengths=rows.target_lengths,
        )  # fmt: skip
        counts = jnp.arange(rows.target.shape[0])[:, None] < rows.target_lengths
        picked = jnp.take_along_axis(logs, rows.target[..., None], axis=-1)[..., 0]
        return -jnp.where(counts, picked, 0).sum(axis=0)

    return in_parts(of_rows, batch, ROWS)


def mean_loss(losses: jax.Array, batch: PairBatch) -> jax.Array:
    return losses.sum() / batch.target_lengths.sum()


def text_of(vocabulary: Vocabulary, ids: np.ndarray) -> str:
    """What the ids say, an unknown word being one word to sacrebleu, which would take "<unknown>"
    for three."""
    words = vocabulary.decode(ids)
    return multi30k.detokenise("unk" if word == SPECIALS[UNKNOWN] else word for word in words)


def bleu(
    data: multi30k.Multi30k, config: Config, job: Job, params: Any, folder: Path
) -> FurtherResults:
    """BLEU of every run by greedy decoding and by beam search; translations, and an alignment."""
    vocabularies = (data.source_vocabulary, data.target_vocabulary)
    sizes = (len(vocabularies[0]), len(vocabularies[1]))
    model = _pairs.encoder_decoder(config, job.contender, sizes, job.model.size)
    test, batch = data.test_2016_flickr, job.setting.task.test
    steps = batch.target.shape[0]

    def greedy(params: Any) -> jax.Array:
        return in_parts(lambda rows: _pairs.written(model, params, rows).T, batch, ROWS)

    def beam(params: Any) -> jax.Array:
        def best(rows: PairBatch) -> jax.Array:
            found = model.decode(
                params, rows.source, max_steps=steps, method="beam", width=config.width,
                length_penalty=config.length_penalty, source_lengths=rows.source_lengths,
            )  # fmt: skip
            return found.tokens[:, :, 0].T

        return in_parts(best, batch, ROWS)

    scores: Scores = {}
    for name, search in {"greedy": greedy, f"beam of {config.width}": beam}.items():
        search = jax.jit(search)
        for run in reversed(range(len(job.seeds))):
            tokens = np.asarray(search(_pairs.run_of(params, run)))
            texts = [text_of(vocabularies[1], row) for row in tokens]
            measured = multi30k.bleu(texts, test.targets)
            scores.setdefault(name, []).insert(0, measured.score)
    rows = [
        f"- {test.sources[i]}\n  - {texts[i]}\n  - *{test.targets[i]}*" for i in range(EXAMPLES)
    ]
    text = (
        f"{job.contender}, beam of {config.width}: the source, the translation and the "
        f"*reference* of the first test captions (BLEU's signature: `{measured.signature}`):\n\n"
    ) + "\n".join(rows)
    figures = []
    if job.contender != _pairs.FIXED:
        title = f"{job.contender} attention, English to German"
        _pairs.shown(model, _pairs.run_of(params, 0), batch, vocabularies, title,
                    folder / "alignment.png")  # fmt: skip
        figures.append("alignment.png")
    return FurtherResults({"BLEU of test_2016_flickr": scores}, [text], figures)

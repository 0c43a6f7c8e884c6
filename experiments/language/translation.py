"""English to German captions: a decoder with attention against a fixed vector, in BLEU.

    LSTM_JAX_DATA=FOLDER python -m experiments translation

Multi30k, task 1 (Elliott et al. 2016), with 29,000 training pairs, from the folder LSTM_JAX_DATA or
downloaded. The vocabulary is that of the training text. Curves show the cross-entropy of validation
captions, which also decides between learning rates. BLEU (sacrebleu, case-insensitive) is measured
on test_2016_flickr, with greedy decoding and beam search; a word outside the vocabulary is written
as "unk", and is wrong.

Expect, in 15 minutes on two cores (1,500 steps of 64 captions, almost 3.5 epochs; results in
experiments/results/translation): with additive attention BLEU 30 by beam search and 28 by greedy
decoding, with a fixed vector 17 and 15. The curves still fall, so more steps would help. For a GPU
(not yet run):

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
from experiments.harness.run.parts import map_in_parts
from experiments.harness.run.setting import FurtherResults, Scores, Setting
from experiments.language import _pairs
from lstm_jax import seq2seq
from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.tasks import PairBatch, Pairs, PairTask, Score, Vocabulary
from lstm_jax.tasks.pairs import multi30k
from lstm_jax.tasks.vocabulary import END, SPECIALS, UNKNOWN

TIME = "15 min"

# One rate was tried.
RATES = {"additive": 2e-3, "fixed": 2e-3}
EXAMPLES = 3
ROWS = 50  # that are scored or decoded at a time


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
    """Words that are rarer in the training text are treated as unknown."""
    longest: int = 24
    """Largest length of training pairs, in words including the end; longer ones are left out."""
    width: int = 5
    """Number of hypotheses in the beam search."""
    length_penalty: float = 1.0
    """Length penalty of the beam search (Wu et al. 2016, eq. 14)."""


def settings(config: Config) -> list[Setting]:
    checking.positive_int("width", config.width)
    checking.real("length_penalty", config.length_penalty)
    multi30k.bleu(["."], ["."])  # raises, before training, if sacrebleu is missing
    data = multi30k.multi30k(min_count=config.min_count)
    training = short_pairs(data.train.pairs, config.longest)
    validation, test = (
        _pairs.to_device(_pairs.pad_all(split.pairs, _pairs.max_width(split.pairs)))
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
        score=Score(
            "nats per token", mean_loss, higher_is_better=False, chance=unigram_entropy(data)
        ),
    )
    model = functools.partial(_pairs.pair_model, token_losses)
    further = functools.partial(measure_bleu, data, config)
    return [
        Setting(
            task, config, rates_from_defaults(RATES, config, "cell"), model=model, further=further
        )
    ]


def short_pairs(rows: Pairs, longest: int) -> Pairs:
    """The pairs that are at most ``longest`` long. Raises ValueError if there are none."""
    source, target = rows.lengths()
    kept = np.flatnonzero((source <= longest) & (target <= longest)).tolist()
    if not kept:
        raise WrongValue(f"longest: expected a length that some pairs have, got {longest}")
    return Pairs([rows.sources[i] for i in kept], [rows.targets[i] for i in kept])


def unigram_entropy(data: multi30k.Multi30k) -> float:
    """The cross-entropy of the best answer that ignores the input: the test tokens' frequencies."""
    rows = data.test_2016_flickr.pairs.targets
    ids = np.concatenate([np.append(row, END) for row in rows])
    shares = np.unique_counts(ids).counts / len(ids)
    return float(-np.sum(shares * np.log(shares)))


def token_losses(model: seq2seq.Seq2Seq, params: Any, batch: PairBatch) -> jax.Array:
    """The loss of each row ``[B]`` in nats, summed over its tokens."""

    def of_rows(rows: PairBatch) -> jax.Array:
        logs = model.log_probabilities(
            params, rows.source, rows.target,
            source_lengths=rows.source_lengths, target_lengths=rows.target_lengths,
        )  # fmt: skip
        counts = jnp.arange(rows.target.shape[0])[:, None] < rows.target_lengths
        picked = jnp.take_along_axis(logs, rows.target[..., None], axis=-1)[..., 0]
        return -jnp.where(counts, picked, 0).sum(axis=0)

    return map_in_parts(of_rows, batch, ROWS)


def mean_loss(losses: jax.Array, batch: PairBatch) -> jax.Array:
    return losses.sum() / batch.target_lengths.sum()


def decode_text(vocabulary: Vocabulary, ids: np.ndarray) -> str:
    """The text of the ids, with "unk" for an unknown word, since sacrebleu would count "<unknown>"
    as three words."""
    words = vocabulary.decode(ids)
    return multi30k.detokenise("unk" if word == SPECIALS[UNKNOWN] else word for word in words)


def measure_bleu(
    data: multi30k.Multi30k, config: Config, job: Job, params: Any, folder: Path
) -> FurtherResults:
    """BLEU of every run with greedy decoding and beam search; examples; an alignment."""
    vocabularies = (data.source_vocabulary, data.target_vocabulary)
    sizes = (len(vocabularies[0]), len(vocabularies[1]))
    model = _pairs.encoder_decoder(config, job.contender, sizes, job.model.size)
    test, batch = data.test_2016_flickr, job.setting.task.test
    steps = batch.target.shape[0]

    def greedy(params: Any) -> jax.Array:
        return map_in_parts(lambda rows: _pairs.decode_greedily(model, params, rows).T, batch, ROWS)

    def beam(params: Any) -> jax.Array:
        def best(rows: PairBatch) -> jax.Array:
            found = model.decode(
                params, rows.source, max_steps=steps, method="beam", width=config.width,
                length_penalty=config.length_penalty, source_lengths=rows.source_lengths,
            )  # fmt: skip
            return found.tokens[:, :, 0].T

        return map_in_parts(best, batch, ROWS)

    scores: Scores = {}
    for name, search in {"greedy": greedy, f"beam of {config.width}": beam}.items():
        search = jax.jit(search)
        texts = []
        for run in range(len(job.seeds)):
            tokens = np.asarray(search(_pairs.params_of_run(params, run)))
            texts.append([decode_text(vocabularies[1], row) for row in tokens])
        results = [multi30k.bleu(text, test.targets) for text in texts]
        scores[name] = [result.score for result in results]
    # Of the first run, by the search that was used last.
    rows = [
        f"- {test.sources[i]}\n  - {texts[0][i]}\n  - *{test.targets[i]}*" for i in range(EXAMPLES)
    ]
    text = (
        f"{job.contender}, beam of {config.width}: source, translation and *reference* of the "
        f"first test captions (BLEU's signature: `{results[0].signature}`):\n\n"
    ) + "\n".join(rows)
    figures = []
    if job.contender != _pairs.FIXED:
        title = f"{job.contender} attention, English to German"
        _pairs.draw_alignment(
            model,
            _pairs.params_of_run(params, 0),
            batch,
            vocabularies,
            title,
            folder / "alignment.png",
        )
        figures.append("alignment.png")
    return FurtherResults({"BLEU of test_2016_flickr": scores}, [text], figures)

"""Shared by the tasks that rearrange symbols: trained at short lengths, tested at longer ones."""

import dataclasses
import functools
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.harness.run.jobs import Job
from experiments.harness.run.learning_rates import rates_from_defaults
from experiments.harness.run.setting import FurtherResults, Scores, Setting
from experiments.language import _pairs
from lstm_jax.tasks import PairTask, SymbolTask

ROWS = 250  # of each length


@dataclasses.dataclass(frozen=True)
class SymbolTraining(_pairs.PairTraining):
    symbols: int = 10
    """Number of different symbols, K."""
    max_length: int = 20
    """Length of the longest training sequences; the shortest have one symbol."""


def make_setting(symbols: SymbolTask, config: SymbolTraining, chosen: dict[str, float]) -> Setting:
    """The setting of a comparison on ``symbols``. Chance is the best answer that knows only the
    length, on average over the trained lengths."""
    size = len(symbols.vocabulary)
    chances = [symbols.chance(n + 1) for n in range(symbols.max_length)]
    task = PairTask(
        name=symbols.name,
        source_size=size,
        target_size=size,
        sample=symbols.sample,
        validation=symbols.validation,
        test=symbols.test,
        loss=_pairs.cross_entropy(config.label_smoothing),
        score=_pairs.exact_match(float(np.mean(chances))),
    )
    model = functools.partial(_pairs.pair_model, _pairs.decode_greedily)
    further = functools.partial(score_by_length, symbols, config)
    near = rates_from_defaults(chosen, config, "max_length", "symbols", "cell")
    return Setting(task, config, near, model=model, further=further)


def score_by_length(
    symbols: SymbolTask, config: SymbolTraining, job: Job, params: Any, folder: Path
) -> FurtherResults:
    """Exact match at lengths up to twice the trained ones, and the picture of an alignment."""
    longest = symbols.max_length
    lengths = sorted({max(1, n * longest // 4) for n in range(1, 9)})
    batch = _pairs.join_batches([symbols.test_at(length, ROWS) for length in lengths])
    vocabulary = symbols.vocabulary
    model = _pairs.encoder_decoder(config, job.contender, (len(vocabulary),) * 2, job.model.size)
    decode = jax.jit(
        lambda params: _pairs.find_right(_pairs.decode_greedily(model, params, batch), batch)
    )
    runs = [
        np.asarray(decode(_pairs.params_of_run(params, run)))
        .reshape(len(lengths), ROWS)
        .mean(axis=1)
        for run in range(len(job.seeds))
    ]
    scores: Scores = {
        f"{n} symbols": [float(run[i]) for run in runs] for i, n in enumerate(lengths)
    }
    figures = []
    if job.contender != _pairs.FIXED:
        title = f"{job.contender} attention, {symbols.name}"
        example = symbols.test_at(longest, 1)
        _pairs.draw_alignment(
            model,
            _pairs.params_of_run(params, 0),
            example,
            (vocabulary, vocabulary),
            title,
            folder / "alignment.png",
        )
        figures.append("alignment.png")
    return FurtherResults(
        {f"exact match by length in symbols, trained up to {longest} symbols": scores},
        [],
        figures,
    )

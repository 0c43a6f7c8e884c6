"""Symbol sequences to be rearranged: trained at short lengths, tested up to twice as long ones."""

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
    """Different symbols K."""
    max_length: int = 20
    """Longest sequence in training; the shortest has one symbol."""


def setting(symbols: SymbolTask, config: SymbolTraining, chosen: dict[str, float]) -> Setting:
    """The comparison on ``symbols``. Chance is that of the best answer that knows the length alone,
    the mean over the trained lengths."""
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
    model = functools.partial(_pairs.pair_model, _pairs.written)
    further = functools.partial(by_length, symbols, config)
    near = rates_from_defaults(chosen, config, "max_length", "symbols", "cell")
    return Setting(task, config, near, model=model, further=further)


def by_length(
    symbols: SymbolTask, config: SymbolTraining, job: Job, params: Any, folder: Path
) -> FurtherResults:
    """Exact match at lengths up to twice the trained one, and the picture of an alignment."""
    longest = symbols.max_length
    lengths = sorted({max(1, n * longest // 4) for n in range(1, 9)})
    batch = _pairs.joined([symbols.test_at(length, ROWS) for length in lengths])
    vocabulary = symbols.vocabulary
    model = _pairs.encoder_decoder(config, job.contender, (len(vocabulary),) * 2, job.model.size)
    decode = jax.jit(lambda params: _pairs.right(_pairs.written(model, params, batch), batch))
    runs = [
        np.asarray(decode(_pairs.run_of(params, run))).reshape(len(lengths), ROWS).mean(axis=1)
        for run in range(len(job.seeds))
    ]
    scores: Scores = {
        f"{n} symbols": [float(run[i]) for run in runs] for i, n in enumerate(lengths)
    }
    figures = []
    if job.contender != _pairs.FIXED:
        title = f"{job.contender} attention, {symbols.name}"
        example = symbols.test_at(longest, 1)
        _pairs.shown(model, _pairs.run_of(params, 0), example, (vocabulary, vocabulary), title,
                    folder / "alignment.png")  # fmt: skip
        figures.append("alignment.png")
    return FurtherResults(
        {f"exact match by length in symbols, trained up to {longest} symbols": scores},
        [],
        figures,
    )

"""Symbol sequences to be rearranged: trained at short lengths, tested up to twice as long ones."""

import dataclasses
import functools
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments import pairs
from experiments.chosen import elsewhere
from experiments.jobs import Job
from experiments.setting import Further, Scores, Setting
from lstm_jax.tasks import SymbolTask, Task

ROWS = 250  # of each length


@dataclasses.dataclass(frozen=True)
class SymbolTraining(pairs.PairTraining):
    symbols: int = 10
    """Different symbols K."""
    max_length: int = 20
    """Longest sequence in training; the shortest has one symbol."""


def setting(symbols: SymbolTask, config: SymbolTraining, chosen: dict[str, float]) -> Setting:
    """The comparison on ``symbols``. Chance is that of the best answer that knows the length alone,
    the mean over the trained lengths."""
    size = len(symbols.vocabulary)
    chances = [symbols.chance(n + 1) for n in range(symbols.max_length)]
    task = Task(
        name=symbols.name,
        input_size=0,
        output_size=0,
        sample=lambda key, batch_size: pairs.as_batch(symbols.sample(key, batch_size)),
        validation=pairs.as_batch(symbols.validation),
        test=pairs.as_batch(symbols.test),
        loss=pairs.cross_entropy(config.label_smoothing),
        score=pairs.exact_match(float(np.mean(chances))),
    )
    model = functools.partial(pairs.pair_model, (size, size), pairs.written)
    further = functools.partial(by_length, symbols, config)
    near = elsewhere(chosen, config, "max_length", "symbols", "cell")
    return Setting(task, config, near, model=model, further=further)


def by_length(
    symbols: SymbolTask, config: SymbolTraining, job: Job, params: Any, folder: Path
) -> Further:
    """Exact match at lengths up to twice the trained one, and the picture of an alignment."""
    longest = symbols.max_length
    lengths = sorted({max(1, n * longest // 4) for n in range(1, 9)})
    batch = pairs.joined([symbols.test_at(length, ROWS) for length in lengths])
    vocabulary = symbols.vocabulary
    model = pairs.encoder_decoder(config, job.contender, (len(vocabulary),) * 2, job.model.size)
    decode = jax.jit(lambda params: pairs.right(pairs.written(model, params, batch), batch))
    runs = [
        np.asarray(decode(pairs.run_of(params, run))).reshape(len(lengths), ROWS).mean(axis=1)
        for run in range(len(job.seeds))
    ]
    scores: Scores = {
        f"{n} symbols": [float(run[i]) for run in runs] for i, n in enumerate(lengths)
    }
    figures = []
    if job.contender != pairs.FIXED:
        title = f"{job.contender} attention, {symbols.name}"
        example = symbols.test_at(longest, 1)
        pairs.shown(model, pairs.run_of(params, 0), example, (vocabulary, vocabulary), title,
                    folder / "alignment.png")  # fmt: skip
        figures.append("alignment.png")
    return Further(
        {f"exact match by length in symbols, trained up to {longest} symbols": scores},
        [],
        figures,
    )

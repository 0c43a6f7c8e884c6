"""Written dates to ISO format: a decoder with attention against a fixed vector.

    python -m experiments dates

"Saturday, the 5th of May, 1979" becomes "1979-05-05", character by character, from 34 styles. The
dates for validation and test do not occur in training, in any style
(``lstm_jax.tasks.pairs.dates``). It is a common exercise for attention, without a paper. The score
is exact match with greedy decoding.

Expect, in 3 minutes on two cores (results in experiments/results/dates): with attention all 2,000
test dates are right, with a fixed vector 90 %.
"""

import collections
import dataclasses
import functools
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.harness.run.jobs import Job
from experiments.harness.run.learning_rates import rates_from_defaults
from experiments.harness.run.setting import FurtherResults, Setting
from experiments.language import _pairs
from lstm_jax.tasks import PairTask
from lstm_jax.tasks.pairs import dates

TIME = "3 min"

# One rate was tried.
RATES = {"additive": 3e-3, "fixed": 3e-3}
HELD_OUT: dict[dates.SplitName, int] = {"validation": 1000, "test": 2000}
TRAINING = 50_000
WORST_STYLES = 5  # are reported


@dataclasses.dataclass(frozen=True)
class Config(_pairs.PairTraining):
    seeds: int = 2
    steps: int = 2000
    every: int = 200
    batch_size: int = 64


def settings(config: Config) -> list[Setting]:
    written = {split: dates.written_dates(n, split) for split, n in HELD_OUT.items()}
    training = dates.written_dates(TRAINING).encode()
    encoded = {split: both.encode() for split, both in written.items()}
    widths = [_pairs.max_width(rows) for rows in (training, *encoded.values())]
    width = (max(source for source, _ in widths), max(target for _, target in widths))
    held_out = {
        split: _pairs.to_device(_pairs.pad_all(rows, width)) for split, rows in encoded.items()
    }
    task = PairTask(
        name="dates",
        source_size=len(dates.SOURCE_VOCABULARY),
        target_size=len(dates.TARGET_VOCABULARY),
        sample=_pairs.sample_pairs(training, width),
        validation=held_out["validation"],
        test=held_out["test"],
        loss=_pairs.cross_entropy(config.label_smoothing),
        score=_pairs.exact_match(1 / len(dates.dates_of("test"))),
    )
    model = functools.partial(_pairs.pair_model, _pairs.decode_greedily)
    further = functools.partial(report_by_style, written["test"], config)
    return [
        Setting(
            task, config, rates_from_defaults(RATES, config, "cell"), model=model, further=further
        )
    ]


def report_by_style(
    written: dates.WrittenDates, config: Config, job: Job, params: Any, folder: Path
) -> FurtherResults:
    """The styles with the worst scores, and the picture of an alignment."""
    vocabularies = (dates.SOURCE_VOCABULARY, dates.TARGET_VOCABULARY)
    sizes = (len(vocabularies[0]), len(vocabularies[1]))
    model = _pairs.encoder_decoder(config, job.contender, sizes, job.model.size)
    batch = job.setting.task.test
    decode = jax.jit(
        lambda params: _pairs.find_right(_pairs.decode_greedily(model, params, batch), batch)
    )
    right = np.mean(
        [np.asarray(decode(_pairs.params_of_run(params, run))) for run in range(len(job.seeds))],
        axis=0,
    )
    of_style = collections.defaultdict(list)
    for style, share in zip(written.styles, right, strict=True):
        of_style[style].append(share)
    means = sorted((float(np.mean(shares)), style) for style, shares in of_style.items())
    worst = "; ".join(f"`{style}` {mean:.3f}" for mean, style in means[:WORST_STYLES])
    figures = []
    if job.contender != _pairs.FIXED:
        longest = int(np.argmax(np.asarray(batch.source_lengths)))
        example = type(batch)(*(a[..., longest : longest + 1] for a in batch))
        title = f"{job.contender} attention, dates"
        _pairs.draw_alignment(
            model,
            _pairs.params_of_run(params, 0),
            example,
            vocabularies,
            title,
            folder / "alignment.png",
        )
        figures.append("alignment.png")
    text = (
        f"{job.contender}: exact match of the styles with the worst scores, over all runs: {worst}."
    )
    return FurtherResults({}, [text], figures)

"""Sorting of symbols: a decoder with attention against a fixed vector, up to twice the length.

    python -m experiments sorting

Sequences of up to 20 symbols out of 10 are written in ascending order, like the numbers in Vinyals,
Bengio & Kudlur 2016, "Order matters: sequence to sequence for sets". The score is exact match with
greedy decoding.

Expect, in 3 minutes on two cores (results in experiments/results/sorting): for this task counting
is enough, which a fixed vector can do: it gets 99 % of the sequences at the trained lengths right,
and additive attention, which has more to learn, 95 % after the same number of steps. Beyond the
trained lengths, both fall to 0 %.
"""

import dataclasses

from experiments.harness.run.setting import Setting
from experiments.language import _symbols
from lstm_jax.tasks.pairs.sorting import sorting

TIME = "3 min"

# One rate was tried.
RATES = {"additive": 3e-3, "fixed": 3e-3}


@dataclasses.dataclass(frozen=True)
class Config(_symbols.SymbolTraining):
    models: tuple[str, ...] = ("additive", "fixed")
    seeds: int = 2
    steps: int = 1000
    every: int = 100
    batch_size: int = 64


def settings(config: Config) -> list[Setting]:
    task = sorting(config.symbols, max_length=config.max_length)
    return [_symbols.make_setting(task, config, RATES)]

"""Reversal of symbols: an attentive decoder against a fixed vector, up to twice the length.

    python -m experiments reversal

Sequences of up to 20 of 10 symbols are written backwards (Grefenstette et al. 2015, "Learning to
transduce with unbounded memory", where LSTMs without a memory break down beyond the trained
lengths). Score: exact match under greedy decoding.
"""

import dataclasses

from experiments import symbols
from experiments.setting import Setting
from lstm_jax.tasks.reversal import reversal

TIME = "?"
RATES = {"location": 3e-3, "additive": 3e-3, "fixed": 1e-2}


@dataclasses.dataclass(frozen=True)
class Config(symbols.SymbolTraining):
    models: tuple[str, ...] = ("location", "additive", "fixed")
    seeds: int = 2
    steps: int = 1000
    every: int = 100
    batch_size: int = 64


def settings(config: Config) -> list[Setting]:
    task = reversal(config.symbols, max_length=config.max_length)
    return [symbols.setting(task, config, RATES)]

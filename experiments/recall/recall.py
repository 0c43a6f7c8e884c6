"""Selective copying at a small length: which cells can select from noise, and remember?

    python -m experiments recall

Gu & Dao 2023, "Mamba", section 4.1: 16 tokens among 4,096 blanks, two layers of 64 units. They
report 18.3 % for linear time-invariant models and above 96 % for selective ones; Feng et al. 2024
report 99.5 % for minGRU and 96.0 % for minLSTM (three layers). Here there are 8 tokens among 64
blanks, and models have one layer of 64 units. Induction heads and associative recall can be given
by name:

    python -m experiments recall --tasks "induction_heads(length=64)" associative_recall

Expect, in 13 minutes on two busy cores (two seeds; results in experiments/results/recall): GRU 0.98
and LSTM 0.95 of the tokens right, both still rising; minGRU 0.42, attention 0.28, mLSTM 0.27 and
LRU 0.23 (chance 0.07), nearly flat. The LRU, whose transitions cannot depend on the input, fails as
reported for such models; the models that are reported to succeed have two or three layers.
"""

import dataclasses

from experiments.harness.run.setting import Budget, Setting, make_task

TIME = "13 min"

SELECTIVE_COPY = "selective_copy(length=64, tokens=8)"
PUBLISHED = {
    "lru": "0.183 (S4, T = 4096)",
    "min_gru": "0.995 (3 layers, T = 4096)",
    "min_lstm": "0.960 (3 layers, T = 4096)",
}


@dataclasses.dataclass(frozen=True)
class Config(Budget):
    tasks: tuple[str, ...] = (SELECTIVE_COPY,)
    """Tasks, by their names in lstm_jax.tasks.registry."""
    cells: tuple[str, ...] = ("lstm", "gru", "lru", "min_gru", "mlstm", "attention")
    seeds: int = 2
    steps: int = 4000
    size: int | None = 64
    learning_rate: tuple[float, ...] = (3e-3, 1e-2)


def settings(config: Config) -> list[Setting]:
    return [
        Setting(make_task(text), config, published=PUBLISHED if text == SELECTIVE_COPY else {})
        for text in config.tasks
    ]

"""Parity and even pairs, trained on up to 40 symbols and tested on up to 500.

    python -m experiments state_tracking

Deletang et al. 2022, "Neural networks and the Chomsky hierarchy": regular languages that a net can
solve at every length only if it carries a state. With 256 units, batches of 128 and the best of 10
seeds and 3 rates, they report that RNN and LSTM solve every regular task, and that Transformers
reach 52 % on parity and 96 % on even pairs at the longer lengths (quoted from memory). Beck et al.
2024 (xLSTM, two blocks, trained on lengths 3 to 40, tested on 40 to 256) report a scaled accuracy
on parity of 1.00 for the sLSTM and 0.04 for the mLSTM. Other tasks can be given by name, as in

    python -m experiments state_tracking --tasks modular_arithmetic "word_problem(group='A5')" \\
        --lengths 21 41 81 161 321 501

Expect, in 10 minutes on two cores (two seeds; results in experiments/results/state_tracking): LSTM,
GRU and sLSTM solve both tasks, even at 500 symbols; mLSTM and attention stay at chance on parity,
and fail on even pairs beyond the trained lengths; the tanh RNN solves only even pairs.
"""

import dataclasses
import functools
from typing import Any

from experiments.harness.run.lengths import require_lengths, score_by_length
from experiments.harness.run.setting import Budget, Setting, make_task

TIME = "10 min"

PUBLISHED = {
    "parity": {
        "rnn": "solved (256 units)",
        "lstm": "solved (256 units)",
        "slstm": "1.00 scaled (2 blocks)",
        "mlstm": "0.04 scaled (2 blocks)",
        "attention": "reported 0.52 (Transformer)",
    },
    "even_pairs": {
        "rnn": "solved (256 units)",
        "lstm": "solved (256 units)",
        "attention": "reported 0.964 (Transformer)",
    },
}


@dataclasses.dataclass(frozen=True)
class Config(Budget):
    tasks: tuple[str, ...] = ("parity", "even_pairs")
    """Tasks that train on a range of lengths, by their names in lstm_jax.tasks.registry."""
    lengths: tuple[int, ...] = (20, 40, 80, 160, 320, 500)
    """Lengths of the test sequences; modular_arithmetic has only odd ones."""
    cells: tuple[str, ...] = ("rnn", "lstm", "gru", "slstm", "mlstm", "attention")
    seeds: int = 2
    steps: int = 1500
    size: int | None = 64
    learning_rate: tuple[float, ...] = (1e-3, 3e-3)

    @property
    def options(self) -> dict[str, Any]:
        return {**super().options, "lengths": list(self.lengths)}


def settings(config: Config) -> list[Setting]:
    further = functools.partial(score_by_length, config.lengths)
    made = []
    for text in config.tasks:
        task = make_task(text)
        require_lengths(config.lengths, task)
        made.append(Setting(task, config, further=further, published=PUBLISHED.get(text, {})))
    return made

"""What a trained LSTM and GRU keep, and what their answers rest on, where the truth is known.

    python -m experiments inside

Three tasks whose solution is known. Adding: the answer is the sum of the two marked numbers, so the
two marked steps should have the largest attributions. The embedded Reber grammar: the last symbol
but one repeats the second one, so its prediction should rest on that step. The 3-bit flip-flop
(Sussillo & Barak 2013, "Opening the black box"): a net that has learnt it should have a stable
fixed point for each of the eight states of its bits, and saddles between them; Golub & Sussillo
2018, "FixedPointFinder", find these eight in an LSTM of 16 units.

After training, each net is read with lj.insight: linear probes of what the task needs, with
shuffled labels as control; attributions by four methods against the truth; fixed points; the time
scales of the gates; and the trace of one example.

Expect, in 4 minutes on two cores (three seeds; results in experiments/results/inside): on adding,
gradient × input, integrated gradients and occlusion find the two marked steps in at least 99 % of
rows, LRP in 98 % (LSTM) and 100 % (GRU). On the grammar none of them finds the branch in all rows,
although exchanging it changes 96 % of the answers. Without input, both nets have eight stable fixed
points on the flip-flop, with every seed, and 9 to 12 saddles that lie between two of them which
differ in one bit.
"""

import dataclasses
import functools
from typing import Any

from experiments.harness.run.setting import Budget, Setting
from experiments.insight import _adding, _bits, _reber
from lstm_jax import tasks
from lstm_jax._internal import checking

TIME = "4 min"

# One rate was tried.
RATES = {"lstm": 1e-2, "gru": 1e-2}


@dataclasses.dataclass(frozen=True)
class Config(Budget):
    cells: tuple[str, ...] = ("lstm", "gru")
    tasks: tuple[str, ...] = ("adding", "embedded_reber", "n_bit_flip_flop")
    """Which of the three tasks."""
    length: int = 40
    """Length T of the sequences of adding."""
    probability: float = 0.1
    """That of a pulse of the flip-flop, at each step and for each bit. At rarer pulses bits must be
    held for longer, which needs stable points."""
    flip_flop_size: int = 16
    """Hidden size on the flip-flop, instead of size."""
    rows: int = 256
    """Test sequences that are read after training, at most 1000."""
    starts: int = 256
    """States from which fixed points are looked for."""
    seeds: int = 3
    steps: int = 3000
    every: int = 250
    size: int | None = 24
    schedule: str = "cosine"

    @property
    def options(self) -> dict[str, Any]:
        names = ("length", "probability", "rows", "starts")
        return {**super().options, **{name: getattr(self, name) for name in names}}


def settings(config: Config) -> list[Setting]:
    rows = checking.positive_int("rows", config.rows)
    starts = checking.positive_int("starts", config.starts)
    smaller = dataclasses.replace(config, size=config.flip_flop_size)
    flip_flop = f"n_bit_flip_flop(probability={config.probability})"
    known = {
        "adding": (
            f"adding(length={config.length})",
            config,
            functools.partial(_adding.read, rows),
        ),
        "embedded_reber": ("embedded_reber", config, functools.partial(_reber.read, rows)),
        "n_bit_flip_flop": (flip_flop, smaller, functools.partial(_bits.read, rows, starts)),
    }
    chosen = [known[checking.choice("tasks", name, known)] for name in config.tasks]
    return [Setting(tasks.make(text), budget, RATES, further=read) for text, budget, read in chosen]

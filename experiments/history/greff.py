"""The nine LSTM variants of Greff et al. on adding and temporal order.

    python -m experiments greff

Greff et al. 2015, "LSTM: a search space odyssey": the vanilla LSTM (with peepholes) against eight
variants, each of which removes or changes one thing: no input, forget or output gate (nig, nfg,
nog), no input or output activation function (niaf, noaf), coupled input and forget gates (cifg), no
peepholes (np), gates that also read the previous gates (fgr). On speech, handwriting and music they
report (quoted from memory) that no variant is clearly better than the vanilla LSTM, that it is
clearly worse without a forget gate or output activation, and that coupled gates and no peepholes
cost nothing. The tasks here are different: adding (Arjovsky, Shah & Bengio 2016) over 50 steps, and
temporal order (Hochreiter & Schmidhuber 1997, experiment 6a) over 50 to 55 steps.

Expect, in 6 minutes on two cores (four seeds, 1,000 steps; results in experiments/results/greff):
coupled gates are best on both tasks. Without an input gate adding is not learnt at all, and without
an output gate hardly. The lack of a forget gate or an output activation, which mattered most to
Greff et al., costs little here, where nothing ever needs to be forgotten.
"""

import dataclasses

import lstm_jax as lj
from experiments.harness.run.setting import Budget, Setting
from lstm_jax import tasks

TIME = "6 min"

VARIANTS = tuple(f"lstm_{name}" for name in lj.cells.GREFF_VARIANTS)
PUBLISHED = {
    "lstm_nfg": "reported worse (speech)",
    "lstm_noaf": "reported worse (speech)",
    "lstm_cifg": "reported as good",
    "lstm_np": "reported as good",
}


@dataclasses.dataclass(frozen=True)
class Config(Budget):
    length: int = 50
    """Length of the shortest sequences of both tasks."""
    cells: tuple[str, ...] = VARIANTS
    learning_rate: tuple[float, ...] = (3e-3, 1e-2)


def settings(config: Config) -> list[Setting]:
    length = config.length
    order = tasks.make("temporal_order", min_length=length, max_length=length + length // 10)
    return [
        Setting(task, config, published=PUBLISHED)
        for task in (tasks.make("adding", length=length), order)
    ]

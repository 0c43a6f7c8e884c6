"""Adding at two lengths and real digits pixel by pixel: LSTM, GRU, RNNs and attention alike.

    python -m experiments first_comparison

What ``make compare`` runs: the experiments adding and digits as one, at equal parameter counts
(about 4,500), four seeds, the same steps for all, and for each cell the learning rate that a sweep
chose on validation data; see those two for sources and published numbers.

Expect, in 5.5 minutes on two cores: what they say; the numbers of one such run are kept in
experiments/results/first_comparison.
"""

import dataclasses

from experiments import adding, digits
from experiments.adding import Config as AddingConfig
from experiments.digits import Config as DigitsConfig
from experiments.setting import Setting

TIME = "5.5 min"


@dataclasses.dataclass(frozen=True)
class Config:
    adding: AddingConfig = dataclasses.field(default_factory=AddingConfig)
    digits: DigitsConfig = dataclasses.field(default_factory=DigitsConfig)


def settings(config: Config) -> list[Setting]:
    return adding.settings(config.adding) + digits.settings(config.digits)

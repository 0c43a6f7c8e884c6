"""Adding and real digits in one run: LSTM, GRU, tanh RNN and IRNN at equal parameter counts.

    python -m experiments first_comparison

What gates are for: see adding.py and digits.py for the tasks and their sources.

Expect, in TIME on two cores: EXPECT.
"""

import dataclasses

from experiments import adding, digits
from experiments.adding import Config as AddingConfig
from experiments.digits import Config as DigitsConfig
from experiments.setting import Setting

TIME = "4 min"


@dataclasses.dataclass(frozen=True)
class Config:
    adding: AddingConfig = dataclasses.field(default_factory=AddingConfig)
    digits: DigitsConfig = dataclasses.field(default_factory=DigitsConfig)


def settings(config: Config) -> list[Setting]:
    return adding.settings(config.adding) + digits.settings(config.digits)

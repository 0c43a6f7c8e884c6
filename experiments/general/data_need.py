"""How many examples does a recurrent net need, and from where on is it better than simple models?

    LSTM_JAX_DATA=FOLDER python -m experiments data_need

LSTMs are said to need large data sets. Here nets and simple models learn from the same 30, 100, 300
examples, up to all that there are, of three kinds: handwritten digits (scikit-learn's, of 8 by 8
pixels), sentences of film reviews (Pang & Lee 2005), and daily minimum temperatures of Melbourne.

Expect, in 15 minutes on two cores (three seeds; results in experiments/results/data_need): the GRU
passes ridge regression on temperatures from 1,000 days on, and boosting and logistic regression on
digits with all 1,438 only (98.1 beside 97.2 and 96.4 %). On film reviews no net passes naive Bayes
or logistic regression, with 8,529 sentences either (75.8 beside 77.9 and 78.1 %).
"""

import dataclasses
import functools

from experiments.general import _data_need_figures
from experiments.general._data_need_models import Learner
from experiments.general._data_need_sets import SETS, DataSet, Nets
from experiments.harness.run.study import Column, Entry, Study, Trial
from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue

TIME = "15 min"
FEWEST = 10  # examples


@dataclasses.dataclass(frozen=True)
class Config:
    sets: tuple[str, ...] = tuple(SETS)
    """Data sets."""
    cells: tuple[str, ...] = ("lstm", "gru", "min_gru")
    """Cells of the nets."""
    sizes: tuple[int, ...] = (30, 100, 300, 1000, 3000)
    """Numbers of examples; those below the number that a set has, which comes last."""
    seeds: int = 3
    """Trials of each entry; each draws its own examples."""
    hidden: int = 32
    """Units of each net, and the size of vectors of words."""
    steps: int = 1500
    """Most updates of each net."""


def studies(config: Config) -> list[Study]:
    for size in config.sizes:
        if checking.positive_int("sizes", size) < FEWEST:
            raise WrongValue(f"sizes: expected {FEWEST} examples or more, got {size}")
    nets = Nets(config.cells, config.hidden, config.steps)
    return [
        study(SETS[checking.choice("sets", name, SETS)](nets), config)
        for name in dict.fromkeys(config.sets)
    ]


def study(data: DataSet, config: Config) -> Study:
    """The study of one data set, with a column for each number of examples."""
    sizes = [*sorted(size for size in set(config.sizes) if size < data.total), data.total]

    def entry(learner: Learner) -> Entry:
        def run(trial: Trial) -> dict[str, float]:
            scores = {}
            for number, size in enumerate(sizes):
                part = trial.part(f"{size} examples", number, len(sizes))
                part.show(0.0, "")
                scores[f"{size} examples"] = learner.score(data.draw(trial.seed, size), part)
            return scores

        return Entry(learner.name, learner.kind, run, range(config.seeds), learner.parameters)

    digits = 1 if data.higher_is_better else 3
    return Study(
        data.name,
        split=data.split,
        columns=[Column(f"{size} examples", data.higher_is_better, digits) for size in sizes],
        entries=[entry(learner) for learner in data.learners],
        data=data.data,
        findings=functools.partial(_data_need_figures.find, sizes=sizes),
    )

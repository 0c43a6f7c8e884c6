"""A language model of a nursery rhyme, trained by fit: the smallest study with a net.

    python -m experiments tiny_fit

Expect a perplexity below that of single characters.
"""

import dataclasses
from pathlib import Path

import jax
import numpy as np
import optax

import lstm_jax as lj
from experiments.harness.run import saved_nets
from experiments.harness.run.language_model import LanguageModel
from experiments.harness.run.study import Column, Entry, Study, Trial
from lstm_jax import train
from lstm_jax.tasks import Vocabulary

TIME = "1 s"
RHYME = "one two buckle my shoe\nthree four knock at the door\nfive six pick up sticks\n" * 4
VOCABULARY = Vocabulary(tuple(sorted(set(RHYME))), specials=False)
PERPLEXITY = "test perplexity"


@dataclasses.dataclass(frozen=True)
class Config:
    epochs: int = 6
    """Passes through the text."""
    seeds: int = 1
    """Trials of the net."""


def make_model() -> train.Model:
    return train.network(
        lj.gru(12), train.inputs.one_hot(len(VOCABULARY)),
        train.heads.classification(len(VOCABULARY)), reads="every",
    )  # fmt: skip


def studies(config: Config) -> list[Study]:
    ids = VOCABULARY.encode(RHYME)
    model = make_model()
    data = train.Streams(ids, window=8)
    test = train.Streams(ids, window=40, streams=1)

    def net(trial: Trial) -> dict[str, float]:
        fitted = train.fit(
            model, data, validation=test, loss="cross_entropy", metrics=["perplexity"],
            optimizer=optax.adam(0.02), epochs=config.epochs, batch_size=4, key=trial.key,
            checkpoint=trial.checkpoint, progress=trial.progress,
        )  # fmt: skip
        trial.save_arrays("history", **fitted.history)
        trial.save_net(fitted.params, cell="gru")
        found = train.evaluate(
            model, fitted.params, test, loss="cross_entropy", metrics=["perplexity"], batch_size=1
        )
        return {PERPLEXITY: found["perplexity"]}

    def single_characters(trial: Trial) -> dict[str, float]:
        shares = np.bincount(ids) / len(ids)
        return {PERPLEXITY: float(np.exp(-np.mean(np.log(shares[ids[1:]]))))}

    return [
        Study(
            "rhyme",
            split="The training text is also the test text.",
            columns=[Column(PERPLEXITY, higher_is_better=False)],
            entries=[
                Entry("single characters", "baseline", single_characters),
                Entry("gru", "net", net, range(config.seeds), train.count_parameters(model)),
            ],
            data={"text": RHYME},
        )
    ]


def load_language_model(trial: Path) -> LanguageModel:
    model = make_model()
    params = saved_nets.load_params(trial, jax.eval_shape(model.init, jax.random.key(0)))
    ids = VOCABULARY.encode(RHYME)
    return LanguageModel(model, params, VOCABULARY, ids, "characters", "\n")

"""Bigrams of a nursery rhyme: the smallest language model.

    python -m experiments tiny_language

Expect a test perplexity that is lower the less is added to the counts.
"""

import dataclasses
import types
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness.run import saved_nets
from experiments.harness.run.language_model import LanguageModel
from experiments.harness.run.study import Column, Entry, Study, Trial
from lstm_jax.tasks import Vocabulary

TIME = "1 s"
RHYME = "one two buckle my shoe\nthree four knock at the door\nfive six pick up sticks\n"
END = "<eos>"
PERPLEXITY = "test perplexity"


@dataclasses.dataclass(frozen=True)
class Config:
    unit: str = "words"
    """What a token is: words or characters."""


def tokens_of(unit: str) -> list[str]:
    return list(RHYME) if unit == "characters" else RHYME.replace("\n", f" {END} ").split()


def studies(config: Config) -> list[Study]:
    tokens = tokens_of(config.unit)
    vocabulary = Vocabulary.from_rows([tokens])
    ids = vocabulary.encode(tokens)

    def bigrams(added: float, trial: Trial) -> dict[str, float]:
        counts = np.full((len(vocabulary), len(vocabulary)), added, np.float32)
        for one, other in zip(np.append(ids[-1], ids), ids, strict=False):
            counts[one, other] += 1
        logs = np.log(counts / counts.sum(axis=1, keepdims=True))
        trial.save_net({"logs": logs}, tokens=list(vocabulary.tokens), unit=config.unit)
        return {PERPLEXITY: float(np.exp(-np.mean(logs[ids[:-1], ids[1:]])))}

    return [
        Study(
            "rhyme",
            split="The training text is also the test text.",
            columns=[Column(PERPLEXITY, higher_is_better=False)],
            entries=[
                Entry(name, "net", lambda trial, added=added: bigrams(added, trial))
                for name, added in {"smooth": 1.0, "sharp": 1e-6}.items()
            ],
            data={"text": RHYME},
        )
    ]


def model(size: int) -> types.SimpleNamespace:
    """Its state is the number of tokens read so far, by which nothing changes."""

    def stream(params, state, xs, *, resets=None, key=None):
        return state + len(xs), params["logs"][xs]

    def init(key):
        return {"logs": jnp.zeros((size, size))}

    def initial_state(params, batch_size):
        return jnp.zeros(batch_size, jnp.int32)

    return types.SimpleNamespace(init=init, stream=stream, initial_state=initial_state)


def load_language_model(trial: Path) -> LanguageModel:
    described = saved_nets.read_description(trial)
    vocabulary, unit = Vocabulary(tuple(described["tokens"])), described["unit"]
    net = model(len(vocabulary))
    params = saved_nets.load_params(trial, jax.eval_shape(net.init, jax.random.key(0)))
    end = "\n" if unit == "characters" else END
    training = vocabulary.encode(tokens_of(unit))
    return LanguageModel(net, params, vocabulary, training, unit, end)

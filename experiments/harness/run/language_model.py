"""A trained language model, as ``generate`` needs it, and the text that it writes."""

import functools
from collections.abc import Iterable, Iterator
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import lstm_jax as lj
from lstm_jax import train
from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.tasks import Vocabulary


class LanguageModel(NamedTuple):
    """What an experiment's ``load_language_model(trial)`` gives, from the folder of a trial.

    model: gives, at every step, the logits of the next token; it has ``initial_state`` and
        ``stream``.
    params: of the model.
    vocabulary: its tokens.
    training: the ids of the training text ``[N]``.
    unit: what a token is, "characters" or "words".
    line_end: the token that ends a line, "\\n" or "<eos>".
    """

    model: train.Model
    params: Any
    vocabulary: Vocabulary
    training: np.ndarray
    unit: Literal["characters", "words"]
    line_end: str

    def encode(self, text: str) -> np.ndarray:
        """The ids of a text ``[N]``, whose lines end in ``line_end``.

        Raises ValueError for tokens that the vocabulary has no id for.
        """
        if self.unit == "characters":
            return self.vocabulary.encode(text)
        lines = [line.split() for line in text.split("\n")]
        words = [word for line in lines[:-1] for word in (*line, self.line_end)]
        return self.vocabulary.encode([*words, *lines[-1]])

    def unknown(self, text: str) -> list[str]:
        """The tokens of the text that are not in the vocabulary, each once."""
        tokens = list(text) if self.unit == "characters" else text.split()
        return [token for token in dict.fromkeys(tokens) if token not in self.vocabulary.ids]

    def context(self, length: int) -> np.ndarray:
        """The last tokens of the training text up to the end of a line, at most ``length``; the
        token of a line end if there are none."""
        end = self.vocabulary.encode([self.line_end])
        ends = np.flatnonzero(self.training == end[0])
        if not length or not ends.size:
            return end
        stop = int(ends[-1]) + 1
        return self.training[max(stop - length, 0) : stop]

    def write(self, ids: Iterable[int], *, after: str = "") -> Iterator[str]:
        """The text of each id, with the space before it if it is a word.

        Args:
            ids: The tokens.
            after: The text before the first of them.
        """
        at_start = not after or after[-1].isspace()
        for number in ids:
            token = self.vocabulary.tokens[number]
            if token == self.line_end:
                yield "\n"
            else:
                yield token if self.unit == "characters" or at_start else f" {token}"
            at_start = token == self.line_end


class Sampling(NamedTuple):
    """How tokens are drawn, as in ``lj.decode.sample``."""

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None


def draw_tokens(
    language: LanguageModel, prompt: np.ndarray, key: jax.Array, sampling: Sampling
) -> Iterator[int]:
    """Tokens that continue the prompt, without end, one at a time.

    Args:
        language: The model.
        prompt: The ids that it reads first ``[N]``, those of the context included.
        key: Token t is drawn with ``fold_in(key, t)``.
        sampling: How they are drawn.

    Raises:
        ValueError: for a model that does not stream, and for invalid sampling.
    """
    model, params = language.model, language.params
    if model.stream is None or model.initial_state is None:
        raise WrongValue("model: expected one with initial_state and stream, got one without")
    read = jax.jit(model.stream)
    tokens = jnp.asarray(prompt, jnp.int32)[:, None]
    state, outputs = read(params, model.initial_state(params, 1), tokens)
    draw = functools.partial(jax.jit(draw_token, static_argnames="sampling"), sampling=sampling)
    t = 0
    while True:
        token = draw(outputs[-1], jax.random.fold_in(key, t))
        yield int(token[0])
        state, outputs = read(params, state, token[None])
        t += 1


def draw_token(logits: jax.Array, key: jax.Array, sampling: Sampling) -> jax.Array:
    """One token per row ``[B]`` of ``logits [B, V]``, by the rules of ``lj.decode.sample``."""

    def step(state: jax.Array, _: jax.Array) -> tuple[jax.Array, jax.Array, tuple]:
        return state, logits, ()

    decoded = lj.decode.sample(
        step, jnp.zeros(logits.shape[0]), key, start=0, end=None, max_steps=1,
        temperature=sampling.temperature, top_k=sampling.top_k, top_p=sampling.top_p,
    )  # fmt: skip
    return decoded.tokens[0]


def check_sampling(sampling: Sampling, vocabulary: Vocabulary) -> None:
    """Raises ValueError or TypeError, naming the option, for invalid sampling."""
    checking.real("temperature", sampling.temperature)
    logits = jnp.zeros((1, len(vocabulary)))
    jax.eval_shape(functools.partial(draw_token, sampling=sampling), logits, jax.random.key(0))

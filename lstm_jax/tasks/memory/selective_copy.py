"""Selective copying: keep the tokens that stand among blanks, and write them out in order."""

import jax
import jax.numpy as jnp

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.tasks import classes
from lstm_jax.tasks.task import HELD_OUT, Batch, Task, drawn_task


def selective_copy(length: int = 256, *, symbols: int = 16, tokens: int = 16) -> Task:
    """Selective copying as in Gu & Dao 2023, "Mamba: linear-time sequence modeling with selective
    state spaces", section 4.1.1, with the steps as in the copying data of its first author's S4
    code.

    A length of 5 and 3 tokens; the blank is ``.``, the marker ``:``::

        input    . c . . a b . . : : :
        target                   c a b

    Inputs ``[T, B, symbols]``, one-hot: kinds of tokens, the blank, the marker. Targets
    ``[T, B]``: the tokens in their order at the markers, -1 before. Loss is the cross-entropy and
    score the accuracy, both over the markers' steps. A marker tells nothing, so chance and
    memoryless are both ``1 / (symbols - 2)``. The task counts as solved above 99 % (our
    criterion). ``test_at`` takes L.

    Args:
        length: L blanks, of ``T = L + 2 tokens`` steps: blanks and tokens in ``L + tokens`` steps,
            each choice of places being as likely, and a marker for each token to be written. (The
            paper says "sequences of length 4096", which may count otherwise by a few steps.)
        symbols: the kinds of inputs, blank and marker included: tokens are of ``symbols - 2``
            kinds, each as likely, and may repeat.
        tokens: the number of tokens to be copied.
    """
    length = checking.positive_int("length", length)
    symbols = checking.positive_int("symbols", symbols)
    tokens = checking.positive_int("tokens", tokens)
    kinds = symbols - 2
    if kinds < 2:
        raise WrongValue(
            f"symbols: expected at least 4: blank, marker and two kinds, got {symbols}"
        )

    def draw_at(key: jax.Array, batch_size: int, length: int) -> Batch:
        reading = length + tokens
        uniform = jax.random.uniform(key, (reading + tokens, batch_size))
        drawn = classes.classes_from_uniform(uniform[reading:], kinds)
        places = jnp.sort(jnp.argsort(uniform[:reading], axis=0)[:tokens], axis=0)
        blanks, rows = jnp.full((reading, batch_size), kinds), jnp.arange(batch_size)
        inputs = blanks.at[places, rows].set(drawn)
        markers = jnp.full((tokens, batch_size), kinds + 1)
        xs = classes.one_hot(jnp.concatenate([inputs, markers]), symbols)
        return Batch(xs, jnp.concatenate([jnp.full((reading, batch_size), -1), drawn]))

    return drawn_task(
        f"selective_copy({length}, symbols={symbols}, tokens={tokens})",
        lambda key, batch_size: draw_at(key, batch_size, length),
        input_size=symbols,
        output_size=kinds,
        loss=classes.cross_entropy,
        score=classes.accuracy_score(1 / kinds, 1 / kinds),
        reads="every",
        success=classes.accuracy_success(0.99, HELD_OUT, "lstm_jax"),
        draw_at=draw_at,
    )

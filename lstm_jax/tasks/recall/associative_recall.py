"""Multi-query associative recall: keep pairs of keys and values, and give each key's value."""

import jax
import jax.numpy as jnp

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.tasks import classes
from lstm_jax.tasks.task import HELD_OUT, Batch, Task, drawn_task

BLANK = 0


def associative_recall(
    length: int = 64,
    *,
    pairs: int = 4,
    vocabulary: int = 64,
    power: float = 0.01,
    noise: bool = False,
) -> Task:
    """Multi-query associative recall (MQAR) as in Arora et al. 2023, "Zoology: measuring and
    improving recall in efficient language models", drawn as in its authors' code, whose settings
    are a vocabulary of 8192 and (length, pairs) of (64, 4), (128, 8), (256, 16) and (512, 64).
    The vocabulary here is small, so that one-hot inputs suit a CPU.

    A length of 12 and 2 pairs; keys are letters, values digits, the blank is ``.``::

        input    b 7 d 3 . . d . b . . .
        target               3   7

    Inputs ``[T, B, V]``, one-hot. Targets ``[T, B]``: the value's token at the key's query, -1
    elsewhere. Loss is the cross-entropy and score the accuracy, both over the queries. The best
    constant answer is any one value, right in one of ``V - V // 2``, and the query itself tells
    no more, so chance and memoryless are both that. The task counts as solved above 99 % (our
    criterion). ``test_at`` takes a length.

    Args:
        length: T, at least ``4 pairs``: keys and values in turn, then as many steps as are left,
            of which the first, third, fifth, ... may be queries. Each key is asked for once.
        pairs: K keys, all different, with a value each, all different.
        vocabulary: V tokens: 0 is the blank, the keys are 1 to ``V // 2 - 1``, the values from
            ``V // 2`` on; all choices are as likely.
        power: of the power law of the gap between the pairs and a query: of the places left, the
            key takes place n (from 1) in proportion to ``n ** (power - 1)``, one key after the
            other, in the order of the pairs. Above 0, up to 1, at which all places are as likely.
        noise: whether the blanks are replaced by tokens of the whole vocabulary, each as likely.
    """
    pairs = checking.positive_int("pairs", pairs)
    vocabulary = checking.positive_int("vocabulary", vocabulary)
    power = checking.real("power", power)
    noise = checking.flag("noise", noise)
    first_value = vocabulary // 2
    keys, values = first_value - 1, vocabulary - first_value
    if keys < pairs:
        raise WrongValue(
            f"vocabulary: expected at least {2 * pairs + 2}, a key for each pair, got {vocabulary}"
        )
    if not 0 < power <= 1:
        raise WrongValue(f"power: expected a number above 0, up to 1, got {power:g}")

    def require_length(length: int) -> int:
        length = checking.positive_int("length", length)
        if length < 4 * pairs:
            raise WrongValue(
                f"length: expected at least {4 * pairs}, 4 steps per pair, got {length}"
            )
        return length

    def draw_at(key: jax.Array, batch_size: int, length: int) -> Batch:
        rest = require_length(length) - 2 * pairs  # steps after the pairs
        gaps = rest // 2
        sizes = (keys, values, gaps, rest if noise else 0)
        uniform = jax.random.uniform(key, (sum(sizes), batch_size))
        for_keys, for_values, for_gaps, for_noise = jnp.split(
            uniform, [sum(sizes[:n]) for n in (1, 2, 3)]
        )
        asked = 1 + jnp.argsort(for_keys, axis=0)[:pairs]
        answers = first_value + jnp.argsort(for_values, axis=0)[:pairs]
        # The first to end of exponential waiting times at these rates are a draw without
        # replacement in proportion to the rates, in its order.
        rates = jnp.arange(1.0, gaps + 1)[:, None] ** (power - 1)
        places = 2 * jnp.argsort(-jnp.log1p(-for_gaps) / rates, axis=0)[:pairs]
        rows = jnp.arange(batch_size)
        blanks = (
            classes.classes_from_uniform(for_noise, vocabulary)
            if noise
            else jnp.full((rest, 1), BLANK)
        )
        queries = jnp.broadcast_to(blanks, (rest, batch_size)).at[places, rows].set(asked)
        symbols = jnp.stack([asked, answers], axis=1).reshape(2 * pairs, batch_size)
        targets = jnp.full((length, batch_size), -1).at[2 * pairs + places, rows].set(answers)
        return Batch(classes.one_hot(jnp.concatenate([symbols, queries]), vocabulary), targets)

    length = require_length(length)
    law = f"power={power:g}" + (", noise" if noise else "")
    return drawn_task(
        f"associative_recall({length}, pairs={pairs}, vocabulary={vocabulary}, {law})",
        lambda key, batch_size: draw_at(key, batch_size, length),
        input_size=vocabulary,
        output_size=vocabulary,
        loss=classes.cross_entropy,
        score=classes.accuracy_score(1 / values, 1 / values),
        reads="every",
        success=classes.accuracy_success(0.99, HELD_OUT, "lstm_jax"),
        draw_at=draw_at,
    )

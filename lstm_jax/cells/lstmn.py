"""The Long Short-Term Memory-Network: an LSTM that attends to its own past states."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer

from lstm_jax._internal import checking
from lstm_jax.core import initializers as init
from lstm_jax.core.builders import plain_cell
from lstm_jax.core.cell import Cell
from lstm_jax.core.forms import Observed
from lstm_jax.core.gates import GateAxis, equal_gates
from lstm_jax.core.numerics import like, masked_softmax, product
from lstm_jax.core.recipes import factory
from lstm_jax.core.steps import append_step, filled_places
from lstm_jax.core.typing import Zeros


class LSTMNState(NamedTuple):
    """The tape of the last W steps, newest last, and what the last step read of it.

    ``keys`` are those of the attention, ``h w_ah`` of each place; ``summary`` is the last average
    of h; ``filled`` is the number of places in use.
    """

    h: Float[Array, "*batch W H"]
    c: Float[Array, "*batch W H"]
    keys: Float[Array, "*batch W A"]
    summary: Float[Array, "*batch H"]
    filled: Integer[Array, "*batch"]

    @property
    def written(self) -> tuple[str, ...]:
        """An empty tape is not read: see ``lstm_jax/core/states.py``."""
        return ("h", "c", "keys", "summary")


@factory
def lstmn(
    size: int, window: int = 32, *, attention_size: int | None = None, forget_bias: float = 1.0
) -> Cell[LSTMNState]:
    """The LSTMN: an LSTM that reads averages of the last ``window`` values of h and c.

    They take the place of the last h and c, and are weighted by
    ``softmax(tanh(h_i w_ah + x w_ax + s w_as) w_a)``, where s is the last average of h. Cheng, Dong
    & Lapata 2016, "Long Short-Term Memory-Networks for Machine Reading", section 3.1, where the
    tape holds the whole sequence. At the first step the tape is empty and the averages are zero.

    The steps cannot be taken together, so the cell has no form. The backward pass keeps one tape
    per step; ``checkpoint_every="auto"`` keeps few.

    Params, in the order input, forget, cell, output: ``w_x [D, 4H]``, ``w_h [H, 4H]``,
    ``b [4H]``; ``w_ah [H, A]``, ``w_ax [D, A]``, ``w_as [H, A]``, ``w_a [A]``.
    State ``LSTMNState(h, c, keys, summary, filled)``; output ``h [*batch, H]``.

    Args:
        size: The hidden size H.
        window: The number W of places on the tape.
        attention_size: The size A of the attention's layer; by default H.
        forget_bias: The initial bias of the forget gate.
    """
    size = checking.positive_int("size", size)
    window = checking.positive_int("window", window)
    keys = size if attention_size is None else attention_size
    keys = checking.positive_int("attention_size", keys)
    forget_bias = checking.real("forget_bias", forget_bias)
    axis = equal_gates(("input", "forget", "cell", "output"), size, {"forget": 1}, writes="input")

    def advance(params, state, x):
        query = product(x, params["w_ax"]) + product(state.summary, params["w_as"])
        scores = jnp.tanh(state.keys + query[..., None, :]) @ params["w_a"]
        weights = masked_softmax(scores, filled_places(state.filled, window))
        summary, memory = (
            jnp.einsum("...p,...ph->...h", weights, tape) for tape in (state.h, state.c)
        )
        packed = product(x, params["w_x"]) + product(summary, params["w_h"]) + params["b"]
        pre = axis.split(packed)
        i, f, o = (jax.nn.sigmoid(pre[gate]) for gate in ("input", "forget", "output"))
        cell = jnp.tanh(pre["cell"])
        c = f * memory + i * cell
        h = o * jnp.tanh(c)
        new = LSTMNState(
            append_step(state.h, h),
            append_step(state.c, c),
            append_step(state.keys, product(h, params["w_ah"])),
            summary,
            jnp.minimum(state.filled + 1, window),
        )
        gates = {"input": i, "forget": f, "cell": cell, "output": o}
        return like(state, new), h.astype(params["w_x"].dtype), Observed(gates, weights)

    def init_params(key, input_size, dtype):
        key_cell, key_h, key_x, key_s, key_a = jax.random.split(key, 5)
        scores, draw = GateAxis(("score",), (keys,)), init.glorot()
        return init.packed(key_cell, input_size, axis, dtype, b=init.forget_bias(forget_bias)) | {
            "w_ah": draw(key_h, (size,), scores, dtype),
            "w_ax": draw(key_x, (input_size,), scores, dtype),
            "w_as": draw(key_s, (size,), scores, dtype),
            "w_a": draw(key_a, (keys,), GateAxis(("a",), (1,)), dtype)[:, 0],
        }

    def empty(zeros: Zeros) -> LSTMNState:
        tape = zeros(window, size)
        return LSTMNState(tape, tape, zeros(window, keys), zeros(size), zeros(dtype=jnp.int32))

    return plain_cell("lstmn", size, axis, init=init_params, state=empty, advance=advance)

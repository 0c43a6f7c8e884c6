"""The Neural Turing Machine: an LSTM that writes to and reads from a memory by attention."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.cells.lstm import LSTMState, lstm
from lstm_jax.core import initializers as init
from lstm_jax.core.builders import packed_params, plain_cell
from lstm_jax.core.cell import Cell
from lstm_jax.core.forms import Gated, Observed
from lstm_jax.core.gates import GateAxis
from lstm_jax.core.numerics import like, merge_heads, product, split_heads
from lstm_jax.core.recipes import factory
from lstm_jax.core.steps import input_product

EMPTY = 1e-6  # added to squared norms: an empty place resembles no key
SMALLEST = 1e-16  # the smallest weight of which a logarithm is taken
FOCUS = 10.0  # how far the logarithm of the first place's weight is above the others' at the start


class NTMState(NamedTuple):
    """The state of the controller, the memory, where the heads stand, and what they read.

    ``read_log`` and ``write_log`` are the logarithms of the weights of each head, up to a constant.
    """

    h: Float[Array, "*batch H"]
    c: Float[Array, "*batch H"]
    memory: Float[Array, "*batch K M"]
    read_log: Float[Array, "*batch R K"]
    write_log: Float[Array, "*batch W K"]
    read: Float[Array, "*batch R*M"]


@factory
def ntm(
    size: int,
    *,
    slots: int = 32,
    width: int = 16,
    read_heads: int = 1,
    write_heads: int = 1,
    shift: int = 1,
    forget_bias: float = 1.0,
) -> Cell[NTMState]:
    """The Neural Turing Machine: an LSTM with a memory of ``slots`` vectors.

    Graves, Wayne & Danihelka 2014, "Neural Turing Machines", sections 3.1 to 3.3. It is good for
    copying, sorting and recall, where items are stored apart and gone through in order, and it goes
    on to sequences longer than those that it was trained on.

    At each step the LSTM reads ``[x; what was read last]``. From its output h, each head computes
    its weights over the slots: by content, with the cosine similarity to a key (eq. 5 and 6), mixed
    with its last weights (eq. 7), moved along the slots, which form a ring (eq. 8), and sharpened
    (eq. 9). First all write heads erase and add (eq. 3 and 4), then the read heads read the new
    memory (eq. 2). The output is ``[h; what was read]``.

    Where the paper leaves it open, keys and added vectors are tanh, strengths softplus,
    interpolation and erase gates sigmoid, shifts softmax, and exponents ``1 + softplus`` of a layer
    on h. A sequence starts with an empty memory and all heads at the first slot.

    The steps cannot be taken together, so the cell is only scanned. The backward pass keeps one
    memory per step; ``checkpoint_every="auto"`` keeps few.

    Params, in the order input, forget, cell, output: ``w_x [D, 4H]``, ``w_h [H, 4H]``,
    ``w_r [R*M, 4H]``, ``b [4H]``; with P = M + 2 S + 4, ``w_read [H, R*P]`` and ``b_read [R*P]``,
    for each head the key, strength, interpolation, shifts -S to S and exponent, and
    ``w_write [H, W*(P + 2M)]`` and ``b_write``, with the erase and add vectors behind them. State
    ``NTMState(h, c, memory, read_log, write_log, read)``; output ``[*batch, H + R*M]``. A trace
    shows the weights of the read heads, then those of the write heads.

    Args:
        size: The size H of the controller.
        slots: The number K of slots. (The paper has 128 slots of width 20.)
        width: The size M of a slot.
        read_heads: The number R of heads that read.
        write_heads: The number W of heads that write.
        shift: The most slots S that a head moves in a step.
        forget_bias: The initial bias of the controller's forget gate.

    Raises:
        ValueError, TypeError: For a wrong argument.
    """
    size = checking.positive_int("size", size)
    slots = checking.positive_int("slots", slots)
    width = checking.positive_int("width", width)
    read_heads = checking.positive_int("read_heads", read_heads)
    write_heads = checking.positive_int("write_heads", write_heads)
    shift = checking.positive_int("shift", shift)
    if 2 * shift + 1 > slots:
        raise WrongValue(
            f"shift: expected shifts from -S to S of different places among {slots} slots, "
            f"got {shift}"
        )
    controller = lstm(size, forget_bias=forget_bias)
    axis, form = controller.axis, controller.form
    assert isinstance(form, Gated)
    moves = range(-shift, shift + 1)
    address = {"key": width, "strength": 1, "interpolation": 1, "shift": len(moves), "exponent": 1}
    write = address | {"erase": width, "add": width}
    read_axis = GateAxis(tuple(address), tuple(address.values()))
    write_axis = GateAxis(tuple(write), tuple(write.values()))

    def place_heads(memory, last, of_head):
        """The logarithms of the heads' weights, and the weights ``[*batch, heads, K]``."""
        key = _normalize(jnp.tanh(of_head["key"]))
        similarity = jnp.einsum("...hm,...km->...hk", key, _normalize(memory))
        by_content = jax.nn.softmax(jax.nn.softplus(of_head["strength"]) * similarity)
        g = jax.nn.sigmoid(of_head["interpolation"])
        mixed = g * by_content + (1.0 - g) * jax.nn.softmax(last)
        share = jax.nn.softmax(of_head["shift"])
        moved = sum(share[..., i : i + 1] * jnp.roll(mixed, n, -1) for i, n in enumerate(moves))
        exponent = 1.0 + jax.nn.softplus(of_head["exponent"])
        log = jax.nn.log_softmax(exponent * jnp.log(moved + SMALLEST))
        return log, jnp.exp(log)

    def advance(params, state, x):
        weights, _ = packed_params(params)
        z = input_product(weights, x) + product(state.read, params["w_r"])
        r = product(state.h, weights.w_h)
        (_, c), h, gates = form.pointwise({}, LSTMState(state.h, state.c), z, r)

        out = split_heads(product(h, params["w_write"]) + params["b_write"], write_heads)
        of_head = write_axis.split(out)
        write_log, writing = place_heads(state.memory, state.write_log, of_head)
        erase, memory = jax.nn.sigmoid(of_head["erase"]), state.memory
        for i in range(write_heads):
            memory = memory * (1.0 - writing[..., i, :, None] * erase[..., i, None, :])
        memory += jnp.einsum("...hk,...hm->...km", writing, jnp.tanh(of_head["add"]))

        out = split_heads(product(h, params["w_read"]) + params["b_read"], read_heads)
        read_log, reading = place_heads(memory, state.read_log, read_axis.split(out))
        read = merge_heads(jnp.einsum("...hk,...km->...hm", reading, memory))
        new = NTMState(h, c, memory, read_log, write_log, read)
        y = jnp.concatenate([h, read], axis=-1).astype(params["w_x"].dtype)
        return like(state, new), y, Observed(gates, jnp.concatenate([reading, writing], axis=-2))

    def init_params(key, input_size, dtype):
        key_controller, key_r, key_read, key_write = jax.random.split(key, 4)
        params = init.packed(
            key_controller, input_size, axis, dtype, b=init.forget_bias(forget_bias)
        )
        params["w_r"] = init.glorot()(key_r, (read_heads * width,), axis, dtype)
        for name, own, one, heads in (
            ("read", key_read, read_axis, read_heads),
            ("write", key_write, write_axis, write_heads),
        ):
            draws = [init.glorot()(k, (size,), one, dtype) for k in jax.random.split(own, heads)]
            params[f"w_{name}"] = jnp.concatenate(draws, axis=-1)
            params[f"b_{name}"] = jnp.zeros(heads * one.width, dtype)
        return params

    def start(zeros):
        def first_slot(heads):
            level = zeros(heads, slots)
            return jnp.where(np.arange(slots) == 0, jnp.asarray(FOCUS, level.dtype), level)

        return NTMState(zeros(size), zeros(size), zeros(slots, width), first_slot(read_heads),
                        first_slot(write_heads), zeros(read_heads * width))  # fmt: skip

    outputs = size + read_heads * width
    return plain_cell("ntm", outputs, axis, init=init_params, state=start, advance=advance)


def _normalize(vectors: jax.Array) -> jax.Array:
    """Vectors of norm 1, except that very short ones become shorter, and zero stays zero."""
    return vectors * jax.lax.rsqrt(jnp.sum(jnp.square(vectors), -1, keepdims=True) + EMPTY)

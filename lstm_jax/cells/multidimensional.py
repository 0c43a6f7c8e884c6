"""The multi-dimensional LSTM, which reads an image row by row, and each row place by place.

Graves, Fernandez & Schmidhuber 2007, "Multi-dimensional recurrent neural networks": section 3 has
the equations of a block with one forget gate per dimension.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax._internal import checking
from lstm_jax.core import initializers as init
from lstm_jax.core.builders import plain_cell
from lstm_jax.core.cell import Cell, Grid
from lstm_jax.core.gates import equal_gates
from lstm_jax.core.numerics import like, product
from lstm_jax.core.recipes import factory
from lstm_jax.core.typing import Zeros


class MultidimensionalState(NamedTuple):
    """The outputs h and the cell states c of the last row."""

    h: Float[Array, "*batch W H"]
    c: Float[Array, "*batch W H"]


@factory
def multidimensional(
    size: int,
    width: int,
    *,
    peephole: bool = False,
    reverse_rows: bool = False,
    forget_bias: float = 1.0,
) -> Cell[MultidimensionalState]:
    """The LSTM over two dimensions: each place reads the place above it and the one before it.

    With the cell states above and beside, ``c_up`` and ``c_left``, and a forget gate for each,
    ``c = f c_up + f_left c_left + i g`` and ``h = o tanh(c)`` (Graves et al. 2007, section 3).
    Time is the vertical axis of the image: a step reads a row ``[*batch, W, D]``, and the state is
    the last row. So lengths are heights, and an image can come row by row.

        layer = lj.multidimensional(16, 28)
        state, ys = lj.unroll(layer, params, images)  # [28, *batch, 28, D] to [28, *batch, 28, H]

    ``reverse`` of the unroll and ``reverse_rows`` give the four directions of the paper, whose
    outputs are put side by side.

    Params, in the order input, forget, forget_left, cell, output: ``w_x [D, 5H]``,
    ``w_h [2H, 5H]``, of whose rows the first H multiply the h above and the others the h beside,
    ``b [5H]``; with ``peephole`` also ``p [5H]``, initially zero: of the input gate to ``c_up`` and
    to ``c_left``, of the forget gates to the state of their own direction, and of the output gate
    to c. State ``MultidimensionalState(h, c)``; output ``h [*batch, W, H]``.

    Args:
        size: The hidden size H.
        width: The number W of places in a row.
        peephole: Whether the gates also read cell states.
        reverse_rows: Whether each row is read from its last place to its first.
        forget_bias: The initial bias of both forget gates. While both are open, cell states add up
            from two sides and grow along the image; 0 or less makes them smaller.

    Raises:
        ValueError, TypeError: For a wrong argument.
    """
    size = checking.positive_int("size", size)
    width = checking.positive_int("width", width)
    checking.flag("peephole", peephole)
    checking.flag("reverse_rows", reverse_rows)
    forget_bias = checking.real("forget_bias", forget_bias)
    names = ("input", "forget", "forget_left", "cell", "output")
    axis = equal_gates(names, size, {"forget": 1, "forget_left": 1}, writes="input")
    peeps = equal_gates(("input_up", "input_left", "forget", "forget_left", "output"), size)

    def advance(params, state, x):
        w_up, w_left = jnp.split(params["w_h"], 2)
        peep = peeps.split(params["p"]) if peephole else {}
        # What a row needs of the input and of the row above, for all of its places at once.
        row = product(x, params["w_x"]) + params["b"] + product(state.h, w_up)

        def place(left, inputs):
            h_left, c_left = left
            packed, c_up = inputs
            pre = axis.split(packed + product(h_left, w_left))
            if peephole:
                pre["input"] += peep["input_up"] * c_up + peep["input_left"] * c_left
                pre["forget"] += peep["forget"] * c_up
                pre["forget_left"] += peep["forget_left"] * c_left
            i, f_up, f_left = (jax.nn.sigmoid(pre[name]) for name in names[:3])
            g = jnp.tanh(pre["cell"])
            c = f_up * c_up + f_left * c_left + i * g
            o = jax.nn.sigmoid(pre["output"] + peep["output"] * c if peephole else pre["output"])
            new = like(left, MultidimensionalState(o * jnp.tanh(c), c))
            return new, (new, dict(zip(names, (i, f_up, f_left, g, o), strict=True)))

        before = jax.tree.map(lambda leaf: jnp.zeros_like(leaf[..., 0, :]), state)
        places = (jnp.moveaxis(row, -2, 0), jnp.moveaxis(state.c, -2, 0))
        _, outs = jax.lax.scan(place, before, places, reverse=reverse_rows)
        new, gates = jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 0, -2), outs)
        return like(state, new), new.h.astype(params["w_x"].dtype), gates

    def init_params(key, input_size, dtype):
        params = init.packed(key, input_size, axis, dtype, source_size=2 * size,
                             b=init.forget_bias(forget_bias))  # fmt: skip
        if peephole:
            params["p"] = jnp.zeros(peeps.width, dtype)
        return params

    def zero_state(zeros: Zeros) -> MultidimensionalState:
        return MultidimensionalState(zeros(width, size), zeros(width, size))

    return plain_cell("multidimensional", size, axis, init=init_params, state=zero_state,
                      advance=advance, grid=Grid((width,), (width,)))  # fmt: skip

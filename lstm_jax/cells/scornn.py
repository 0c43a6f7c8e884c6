"""The scoRNN, whose real recurrence keeps the norm.

Source: Helfrich, Willmott & Ye 2018, "Orthogonal Recurrent Neural Networks with Scaled Cayley
Transform".
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.cells.rnn import RNNState
from lstm_jax.cells.unitary_matrices import SMALL_INPUTS, cayley_transform, draw_pairs
from lstm_jax.core import initializers as init
from lstm_jax.core.builders import gated_cell
from lstm_jax.core.cell import Cell
from lstm_jax.core.forms import Weights
from lstm_jax.core.gates import equal_gates
from lstm_jax.core.numerics import wide
from lstm_jax.core.recipes import factory
from lstm_jax.core.typing import Params


@factory
def scornn(size: int, *, negatives: int | None = None) -> Cell[RNNState]:
    """The scaled Cayley orthogonal RNN: ``h = modReLU(W h + x w_x)``, with W orthogonal.

    It is the real cell that carries information over very many steps, since its recurrence keeps
    the norm of the state. Helfrich, Willmott & Ye 2018, sections 3 and 4:
    ``W = (I + A)^-1 (I - A) D`` (eq. 4), where A is antisymmetric and D is a fixed diagonal of ones
    and minus ones; ``modReLU(z) = relu(|z| + b_mod) sign(z)``.

    Params ``w_x [D, H]``; ``skew [H (H - 1) / 2]``, the numbers of A above its diagonal, row by
    row; ``b_mod [H]``. State ``RNNState(h)``; output ``h``.

    Args:
        size: The hidden size H.
        negatives: The number of minus ones in D, which come last; by default half of H, as in the
            paper's copying task. It fixes how many eigenvalues of W start near -1.
    """
    size = checking.positive_int("size", size)
    if negatives is None:
        negatives = size // 2
    negatives = checking.seed("negatives", negatives)
    if negatives > size:
        raise WrongValue(f"negatives: expected at most size, {size}, got {negatives}")
    axis = equal_gates(("cell",), size)
    above = tuple(index.astype(np.int32) for index in np.triu_indices(size, 1))
    signs = np.where(np.arange(size) < size - negatives, 1.0, -1.0)

    def recurrent_weights(params: Params) -> jax.Array:
        skew = wide(params["skew"])
        upper = jnp.zeros((size, size), skew.dtype).at[above].set(skew)
        w = cayley_transform(upper - upper.T) * signs.astype(skew.dtype)
        return w.T.astype(params["w_x"].dtype)

    def prepare(params: Params, batch_shape: Any, key: Any) -> Params:
        return params | {"w_h": recurrent_weights(params)}

    def split(params: Params) -> tuple[Weights, jax.Array]:
        w_h = params["w_h"] if "w_h" in params else recurrent_weights(params)
        return Weights(params["w_x"], w_h), params["b_mod"]

    def pointwise(b, state, z, r):
        pre = z + r
        h = jnp.sign(pre) * jax.nn.relu(jnp.abs(pre) + b)
        return RNNState(h), h, {"cell": h}

    def init_params(key, input_size, dtype):
        key_x, key_skew = jax.random.split(key)
        pairs = jnp.diag(draw_pairs(key_skew, size), k=1) if size > 1 else jnp.zeros((1, 1))
        return {
            "w_x": init.uniform(SMALL_INPUTS)(key_x, (input_size,), axis, dtype),
            "skew": pairs[above].astype(dtype),
            "b_mod": jnp.zeros(size, dtype),
        }

    cell = gated_cell(
        "scornn",
        size,
        axis,
        init=init_params,
        state=lambda zeros: RNNState(zeros(size)),
        pointwise=pointwise,
        split=split,
        additive=True,
    )
    return cell._replace(prepare=prepare)

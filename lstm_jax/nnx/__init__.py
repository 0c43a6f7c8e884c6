"""Flax NNX: cells as modules, and NNX cells as cells.

    model = lj.nnx.Recurrent(lj.lstm(128), in_features, rngs=nnx.Rngs(0))
    outputs = model(inputs)  # [batch, time, in_features] to [batch, time, 128]

Modules speak Flax: batch first, ``initial_carry``, ``seq_lengths``, ``return_carry``. Flax is
imported with this module, and not with ``lstm_jax``.
"""

from lstm_jax.nnx.flax_cell import from_nnx_cell
from lstm_jax.nnx.recurrent import Recurrent
from lstm_jax.nnx.rnn_cell import RNNCell
from lstm_jax.nnx.variables import Carry, get_params

__all__ = ["Carry", "RNNCell", "Recurrent", "from_nnx_cell", "get_params"]

"""Weights from and to other libraries: PyTorch, Keras, Flax, Equinox and Haiku.

        cell, params = lj.interop.from_torch(module)
        module = lj.interop.to_torch(cell, params)

One table of named gates and biases says how each library stores each cell; all converters are
derived from it. A library is imported when one of its functions is called. What cannot be converted
exactly is an error that names the option.
"""

from lstm_jax.interop.equinox import from_equinox, to_equinox
from lstm_jax.interop.flax_linen import from_linen, to_linen
from lstm_jax.interop.flax_nnx import from_nnx, to_nnx
from lstm_jax.interop.haiku import from_haiku, to_haiku
from lstm_jax.interop.keras import from_keras, to_keras
from lstm_jax.interop.torch import from_torch, to_torch

__all__ = [
    "from_equinox",
    "from_haiku",
    "from_keras",
    "from_linen",
    "from_nnx",
    "from_torch",
    "to_equinox",
    "to_haiku",
    "to_keras",
    "to_linen",
    "to_nnx",
    "to_torch",
]

"""Encoder-decoder models: from a source sequence of tokens to a target sequence.

``encoder_decoder(...)`` gives a ``Seq2Seq``, a tuple of pure functions, which decodes by
``lj.decode``.
"""

from lstm_jax.seq2seq.losses import (
    cross_entropy,
    exponential_decay,
    inverse_sigmoid_decay,
    linear_decay,
)
from lstm_jax.seq2seq.model import Seq2Seq, encoder_decoder
from lstm_jax.seq2seq.running import Encoded

__all__ = [
    "Encoded",
    "Seq2Seq",
    "cross_entropy",
    "encoder_decoder",
    "exponential_decay",
    "inverse_sigmoid_decay",
    "linear_decay",
]

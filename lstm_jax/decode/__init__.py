"""Decoding: sequences out of any function that predicts the next token.

Every decoder takes ``step(state, tokens [B]) -> (state, logits [B, V], seen)``: from the tokens
of the previous time, the logits of the next ones, and ``seen``, any pytree with one row per
sequence that is to be kept for each token (such as attention weights). The state is a pytree of
arrays with the batch as first axis. The decoders are pure functions, to be jitted by the caller.
"""

from lstm_jax.decode.sampling import greedy, keep_nucleus, keep_top_k, sample
from lstm_jax.decode.scoring import score
from lstm_jax.decode.searching import Beams, beam
from lstm_jax.decode.stepping import Decoded, Step

__all__ = [
    "Beams",
    "Decoded",
    "Step",
    "beam",
    "greedy",
    "keep_nucleus",
    "keep_top_k",
    "sample",
    "score",
]

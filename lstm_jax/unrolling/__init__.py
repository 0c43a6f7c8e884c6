"""Unrolling over time: the driver, one file a method, and packing."""

from lstm_jax.unrolling.choice import Deferred
from lstm_jax.unrolling.driver import explain, unroll
from lstm_jax.unrolling.packing import Packed, pack, unpack

__all__ = ["Deferred", "Packed", "explain", "pack", "unpack", "unroll"]

"""Unrolling over time: the driver, one file a method, and packing."""

from lstm_jax.unrolling.driver import unroll
from lstm_jax.unrolling.packing import Packed, pack, unpack

__all__ = ["Packed", "pack", "unpack", "unroll"]

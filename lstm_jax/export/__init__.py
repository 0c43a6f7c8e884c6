"""Trained models as programs that run without lstm_jax: StableHLO by ``jax.export``, and ONNX.

lj.export.stablehlo(cell, params, "step").serialize()  # runs where JAX is, on CPU, GPU and TPU
lj.export.onnx(cell, params).SerializeToString()  # runs where an ONNX runtime is
"""

from lstm_jax.export.onnx_program import onnx
from lstm_jax.export.program import stablehlo

__all__ = ["onnx", "stablehlo"]

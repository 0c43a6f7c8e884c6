"""The contract of a cell, and what its author needs: forms, gates, builders, numerics, checks.

A factory of a cell ends as follows::

    axis = lj.core.equal_gates(("forget", "candidate"), size)
    return lj.core.gated_cell("my_cell", size, axis, init=..., state=..., pointwise=...)
"""

from lstm_jax._internal import cell_checks, checking
from lstm_jax._internal.errors import ArgumentError, WrongType, WrongValue
from lstm_jax.core import initializers
from lstm_jax.core.activations import ACTIVATIONS, activation
from lstm_jax.core.builders import (
    gated_cell,
    linear_cell,
    matrix_cell,
    packed_params,
    plain_cell,
    windowed_cell,
)
from lstm_jax.core.cell import Advance, Cell, Grid, Init, InitialState, Prepare
from lstm_jax.core.convolution import Convolution
from lstm_jax.core.forms import (
    AttentionState,
    Composite,
    Form,
    Gated,
    Linear,
    MatrixMemory,
    Observed,
    Plain,
    Projected,
    Weights,
    Windowed,
)
from lstm_jax.core.gates import GateAxis, equal_gates
from lstm_jax.core.numerics import masked_softmax, merge_heads, product, split_heads, wide
from lstm_jax.core.recipes import factory

__all__ = [
    "ACTIVATIONS",
    "Advance",
    "ArgumentError",
    "AttentionState",
    "Cell",
    "Composite",
    "Convolution",
    "Form",
    "GateAxis",
    "Gated",
    "Grid",
    "Init",
    "InitialState",
    "Linear",
    "MatrixMemory",
    "Observed",
    "Plain",
    "Prepare",
    "Projected",
    "Weights",
    "Windowed",
    "WrongType",
    "WrongValue",
    "activation",
    "cell_checks",
    "checking",
    "equal_gates",
    "factory",
    "gated_cell",
    "initializers",
    "linear_cell",
    "masked_softmax",
    "matrix_cell",
    "merge_heads",
    "packed_params",
    "plain_cell",
    "product",
    "split_heads",
    "wide",
    "windowed_cell",
]

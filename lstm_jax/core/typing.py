"""The types of the contract, and the names of array axes.

    T  time            B  batch, or ``*batch``: any number of batch axes, or none
    D  input size      H  hidden size          G  gates
    L  layers          V  vocabulary           S  source length
    K  memory slots    R  the size of the recurrent source (H in most cells)

Time is axis 0 everywhere. ``Inputs``, ``Outputs`` and the like are jaxtyping annotations, which a
type checker at run time, such as beartype under ``jaxtyping.jaxtyped``, enforces.
"""

from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Integer, PRNGKeyArray

AnyArray = jax.Array | np.ndarray
Params = Any  # a pytree of arrays with readable keys
State = Any  # a NamedTuple of arrays [*batch, H] (see core/states.py); a tuple for composites
BatchShape = tuple[Any, ...]  # of integers, or of the symbols of an exported program

Key = PRNGKeyArray
# A cell of images has its spatial axes between those of the batch and the last one.
Input = Float[AnyArray, "... D"]  # of one step, [*batch, D]
Inputs = Float[AnyArray, "T ... D"]  # [T, *batch, D]
Output = Float[Array, "... H"]  # of one step, [*batch, H]
Outputs = Float[Array, "T ... H"]  # [T, *batch, H]
Lengths = Integer[AnyArray, "*batch"]
Resets = Bool[AnyArray, "T *batch"]

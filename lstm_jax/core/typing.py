"""The types that the contract is written in, and the axes of arrays.

    T  time            B  batch, or ``*batch``: any number of batch axes, none included
    D  input size      H  hidden size          G  gates
    L  layers          V  vocabulary           S  source length
    K  memory slots    R  the size of the recurrent source (H in most cells)

Time is axis 0 everywhere. ``Inputs``, ``Outputs`` and their like are jaxtyping annotations; a type
checker at run time, such as beartype under ``jaxtyping.jaxtyped``, holds a function to them.
"""

from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

AnyArray = jax.Array | np.ndarray
Params = Any  # a pytree of arrays with readable keys
State = Any  # a NamedTuple of arrays [*batch, H] (see core/states.py); of composites, a tuple
BatchShape = tuple[Any, ...]  # of integers, or of the symbols of an exported program

Key = PRNGKeyArray
Input = Float[AnyArray, "*batch D"]  # of one step
Inputs = Float[AnyArray, "T *batch D"]
Output = Float[Array, "*batch H"]  # of one step
Outputs = Float[Array, "T *batch H"]
Lengths = Int[AnyArray, "*batch"]
Resets = Bool[AnyArray, "T *batch"]

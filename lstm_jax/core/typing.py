"""The types of the contract, and the names of array axes.

    T  time            B  batch, or ``*batch``: any number of batch axes, or none
    D  input size      H  hidden size          G  gates
    L  layers          V  vocabulary           S  source length
    K  memory slots    R  the size of the recurrent source (H in most cells)

Time is axis 0 everywhere. ``Inputs``, ``Outputs`` and the like are jaxtyping annotations, which a
type checker at run time, such as beartype under ``jaxtyping.jaxtyped``, enforces.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Integer, PRNGKeyArray

AnyArray = jax.Array | np.ndarray
Params = Any  # a pytree of arrays with readable keys
State = Any  # a NamedTuple of arrays [*batch, H] (see core/states.py); a tuple for composites

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    StateT = TypeVar("StateT", default=Any)  # so that ``Cell`` alone is a cell of any state
    StateT2 = TypeVar("StateT2", default=Any)
    StateT_co = TypeVar("StateT_co", default=Any, covariant=True)
    StateT2_co = TypeVar("StateT2_co", default=Any, covariant=True)
else:  # Python 3.11 has no defaults
    from typing import TypeVar

    StateT, StateT2 = TypeVar("StateT"), TypeVar("StateT2")
    StateT_co = TypeVar("StateT_co", covariant=True)
    StateT2_co = TypeVar("StateT2_co", covariant=True)

Zeros = Callable[..., jax.Array]  # ``(*widths, dtype=...)``, of which a cell makes its state
BatchShape = tuple[Any, ...]  # of integers, or of the symbols of an exported program

Key = PRNGKeyArray
# A cell of images has its spatial axes between those of the batch and the last one.
Input = Float[AnyArray, "... D"]  # of one step, [*batch, D]
Inputs = Float[AnyArray, "T ... D"]  # [T, *batch, D]
Output = Float[Array, "... H"]  # of one step, [*batch, H]
Outputs = Float[Array, "T ... H"]  # [T, *batch, H]
Lengths = Integer[AnyArray, "*batch"]
Resets = Bool[AnyArray, "T *batch"]


def generic_tuple(kind: Any) -> Any:
    """Decorates a generic NamedTuple so that type checkers at run time accept it.

    Among its bases Python lists ``NamedTuple``, a function, which beartype refuses.
    """
    kind.__orig_bases__ = tuple(base for base in kind.__orig_bases__ if base is not NamedTuple)
    return kind

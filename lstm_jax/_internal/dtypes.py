"""The dtypes that arguments may have."""

import numbers
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax._internal.errors import WrongType, WrongValue


def jax_dtype(argument: str, value: Any) -> Any:
    """The dtype of an array or a number, if JAX has it.

    Objects, text, long doubles and numbers of another byte order are refused here, since JAX's own
    error would not name the argument.
    """
    dtype = getattr(value, "dtype", None)
    if dtype is None:
        if not isinstance(value, numbers.Number):
            raise WrongType(f"{argument}: expected an array, got {type(value).__name__}")
        return jnp.result_type(value)
    if isinstance(dtype, np.dtype) and not _in_jax(dtype):
        raise WrongValue(
            f"{argument}: expected a dtype that JAX supports, got {dtype}; convert it first, such "
            "as by .astype(np.float32)"
        )
    return dtype


def _in_jax(dtype: np.dtype) -> bool:
    if dtype == jax.dtypes.float0:
        return False
    number = jnp.issubdtype(dtype, jnp.number) or dtype == np.bool_
    most = 16 if jnp.issubdtype(dtype, jnp.complexfloating) else 8
    return number and dtype.isnative and dtype.itemsize <= most


def is_wide_float(dtype: Any) -> bool:
    """Whether it is a float to compute in; those of 8 bits and fewer only store numbers."""
    return jnp.issubdtype(dtype, jnp.floating) and dtype.itemsize >= 2


def same_precision(argument: str, x: jax.Array, params: Any) -> None:
    """Refuses a float64 input beside narrower params, since it would be rounded silently."""
    dtypes = {leaf.dtype for leaf in jax.tree.leaves(params)}
    if x.dtype == jnp.float64 and dtypes and jnp.dtype("float64") not in dtypes:
        names = ", ".join(sorted(dtype.name for dtype in dtypes))
        raise WrongValue(
            f"{argument}: expected {names}, the dtype of params, got float64; cast one"
        )

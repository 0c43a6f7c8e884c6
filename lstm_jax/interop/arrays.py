"""Arrays from other frameworks, without loss."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax._internal.dtypes import is_wide_float, jax_dtype
from lstm_jax._internal.errors import WrongType, WrongValue


def namespace(arrays: Iterable[Any]) -> Any:
    """``jax.numpy`` if any array is traced, or else ``numpy``, which compiles nothing."""
    return jnp if any(isinstance(array, jax.core.Tracer) for array in arrays) else np


def as_arrays(
    argument: str, tree: Mapping[str, Any], entry: Callable[[str], str] | None = None
) -> dict[str, Any]:
    """The arrays of any framework as NumPy's; traced ones stay as they are.

    Args:
        argument: What errors call all of them.
        tree: The arrays by name.
        entry: What errors call the array of a name; by default ``argument['name']``.

    Raises:
        ValueError: For a dtype that JAX cannot hold, or arrays of several dtypes.
    """
    entry = entry or (lambda name: f"{argument}[{name!r}]")
    arrays = {name: _as_array(entry(name), leaf) for name, leaf in tree.items()}
    dtypes = {np.dtype(array.dtype) for array in arrays.values()}
    if len(dtypes) > 1:
        names = ", ".join(sorted(dtype.name for dtype in dtypes))
        raise WrongValue(f"{argument}: expected weights of one dtype, got {names}; cast them first")
    return arrays


def _as_array(argument: str, leaf: Any) -> Any:
    if isinstance(leaf, jax.core.Tracer):
        return leaf
    if hasattr(leaf, "detach"):  # a tensor of PyTorch
        leaf = leaf.detach().cpu()
        if str(leaf.dtype) == "torch.bfloat16":  # unknown to NumPy, and a part of float32
            leaf = leaf.float().numpy().astype(jnp.bfloat16)
        else:
            leaf = leaf.numpy()
    array = np.asarray(leaf)
    dtype = jax_dtype(argument, array)
    if not is_wide_float(dtype):
        raise WrongValue(
            f"{argument}: expected a floating dtype of 16 bits or more, got dtype {dtype.name}"
        )
    if dtype == np.float64 and not jax.config.jax_enable_x64:  # type: ignore[attr-defined]
        raise WrongValue(
            f"{argument}: expected float32 or narrower, got float64, which JAX would round; "
            "cast it first, or enable jax_enable_x64"
        )
    return array


def to_jax(tree: Any) -> Any:
    """Copies of the arrays, which share no memory with another framework."""
    return jax.tree.map(jnp.array, tree)


def is_zero(argument: str, value: Any) -> bool:
    """Whether all elements are zero; an error for traced values, which cannot be looked at."""
    if isinstance(value, jax.core.Tracer):
        raise WrongValue(
            f"{argument}: expected values that are known, since they must be zero, got a tracer; "
            "convert outside of jit and grad"
        )
    return not np.any(np.asarray(value, np.float64))


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """A tree of dicts from paths with "/" between their parts."""
    tree: dict[str, Any] = {}
    for path, leaf in flat.items():
        *parents, last = path.split("/")
        inside = tree
        for parent in parents:
            inside = inside.setdefault(parent, {})
        inside[last] = leaf
    return tree


def flat(argument: str, tree: Any) -> dict[str, Any]:
    """The inverse of ``nested``."""
    leaves: dict[str, Any] = {}
    for name, value in named(argument, tree).items():
        if isinstance(value, Mapping):
            inside = flat(f"{argument}[{name!r}]", value)
            leaves |= {f"{name}/{path}": leaf for path, leaf in inside.items()}
        else:
            leaves[name] = value
    return leaves


def named(argument: str, tree: Any) -> Mapping[str, Any]:
    """Returns ``tree`` if it is a dict whose names are text."""
    if not isinstance(tree, Mapping):
        raise WrongType(f"{argument}: expected a dict, got {type(tree).__name__}")
    for name in tree:
        if not isinstance(name, str):
            raise WrongType(f"{argument}: expected names that are text, got {name!r}")
    return tree

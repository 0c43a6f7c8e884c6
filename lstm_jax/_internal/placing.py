"""Arrays on the devices of all processes: each process has the whole, and places its own part."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Sharding


def place(leaf: Any, sharding: Sharding) -> Any:
    """``leaf``, the same in all processes, as one array over the devices of ``sharding``."""
    if sharding.is_fully_addressable or isinstance(leaf, jax.core.Tracer):
        return jax.device_put(leaf, sharding)
    if isinstance(leaf, jax.Array):
        if not leaf.is_fully_addressable:  # it is over all processes already
            return jax.device_put(leaf, sharding)
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            data = place(jax.random.key_data(leaf), sharding)
            return jax.random.wrap_key_data(data, impl=jax.random.key_impl(leaf))
    values = np.asarray(leaf)
    values = values.astype(jax.dtypes.canonicalize_dtype(values.dtype), copy=False)
    return jax.make_array_from_callback(values.shape, sharding, lambda index: values[index])


def to_local(leaf: Any) -> Any:
    """An array that is whole on every device as one of this process alone, on its first device."""
    if not isinstance(leaf, jax.Array):
        return leaf
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        data = to_local(jax.random.key_data(leaf))
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(leaf))
    return jnp.asarray(np.asarray(leaf))

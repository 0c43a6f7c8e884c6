"""Layer normalisation of a packed axis (Ba, Kiros & Hinton 2016)."""

import jax
import jax.numpy as jnp

from lstm_jax._internal import checking
from lstm_jax.core.forms import Weights
from lstm_jax.core.numerics import wide

EPSILON = 1e-5


def standardize(values: jax.Array) -> jax.Array:
    """Shifts and scales to mean 0 and variance 1 over the last axis (eq. 3, no gain and bias)."""
    values = wide(values)
    centred = values - jnp.mean(values, axis=-1, keepdims=True)
    variance = jnp.mean(jnp.square(centred), axis=-1, keepdims=True)
    return centred * jax.lax.rsqrt(variance + EPSILON)


def wants_norm(value: str | None) -> bool:
    """Whether a cell's ``norm`` argument asks for layer normalisation."""
    return value is not None and checking.choice("norm", value, ("layer",)) == "layer"


def bias_after_norm(params: dict[str, jax.Array]) -> tuple[Weights, dict[str, jax.Array]]:
    """The ``split`` of a normalised cell: pointwise adds the bias, after the norm."""
    weights = Weights(params["w_x"], params["w_h"], None, params.get("w_p"))
    return weights, {k: leaf for k, leaf in params.items() if k == "b" or not k.startswith("w_")}

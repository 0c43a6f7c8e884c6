"""Complex vectors as real arrays, and what cells with a complex state share.

A complex vector of N numbers is packed into ``[..., 2N]``, its real part before its imaginary one.
So weights, states and products are real, with the dtypes and derivatives of any other cell.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax._internal import checking
from lstm_jax.core import initializers as init
from lstm_jax.core.gates import GateAxis, equal_gates
from lstm_jax.core.numerics import product, wide


class ComplexState(NamedTuple):
    """The real and the imaginary part of h."""

    real: Float[Array, "*batch N"]
    imag: Float[Array, "*batch N"]


def pack(real: jax.Array, imag: jax.Array) -> jax.Array:
    """The packed vector of two parts."""
    return jnp.concatenate([real, imag], axis=-1)


def parts(z: jax.Array) -> list[jax.Array]:
    """The real and the imaginary part of a packed vector, each ``[..., N]``."""
    return jnp.split(z, 2, axis=-1)


def to_complex(z: jax.Array) -> jax.Array:
    """The packed vector as an array of complex numbers."""
    return jax.lax.complex(*parts(wide(z)))


def scale(factor: jax.Array, z: jax.Array) -> jax.Array:
    """A packed vector times real factors ``[..., N]``."""
    return pack(factor, factor) * z


def multiply(z: jax.Array, w: jax.Array) -> jax.Array:
    """The products of two packed vectors, number by number."""
    (a, b), (c, d) = parts(z), parts(w)
    return pack(a * c - b * d, a * d + b * c)


def modulus(z: jax.Array) -> tuple[jax.Array, jax.Array]:
    """``(|z|, nonzero)``, both ``[..., N]``, with 1 instead of a modulus of zero.

    The square root has no derivative at zero.
    """
    real, imag = parts(z)
    square = real * real + imag * imag
    nonzero = square > 0
    return jnp.sqrt(jnp.where(nonzero, square, 1.0)), nonzero


def modrelu(z: jax.Array, b: jax.Array) -> jax.Array:
    """``relu(|z| + b) z / |z|`` with one b per unit (Arjovsky et al. 2016, eq. 8); 0 at 0."""
    r, nonzero = modulus(z)
    b = wide(b)
    # At zero, the factor matters only to the derivative, which is the identity's for b = 0.
    at_zero = jnp.where(b < 0, 0.0, 1.0).astype(r.dtype)
    return scale(jnp.where(nonzero, jax.nn.relu(1.0 + b / r), at_zero), z)


def hirose(z: jax.Array, m: jax.Array) -> jax.Array:
    """``tanh(|z| / m^2) z / |z|`` with one m per unit (Hirose 2013; Wolter & Yao 2018)."""
    r, nonzero = modulus(z)
    inverse = 1.0 / jnp.square(wide(m))
    return scale(jnp.where(nonzero, jnp.tanh(r * inverse) / r, inverse), z)


class ComplexActivation(NamedTuple):
    """An activation function with learned values, one per unit.

    Attributes:
        entry: The name of these values in the params.
        init: ``(key, count, dtype) -> [count]``, their initial values.
        apply: ``(z, values) -> z``.
    """

    entry: str
    init: Callable[[jax.Array, int, Any], jax.Array]
    apply: Callable[[jax.Array, jax.Array], jax.Array]


def _uniform(low: float, high: float) -> Callable[[jax.Array, int, Any], jax.Array]:
    return lambda key, count, dtype: jax.random.uniform(
        key, (count,), jnp.float32, low, high
    ).astype(dtype)


# The ranges are those of the code of Wolter & Yao.
COMPLEX_ACTIVATIONS = {
    "modrelu": ComplexActivation("b_mod", _uniform(-0.01, 0.01), modrelu),
    "hirose": ComplexActivation("m", _uniform(0.9, 1.1), hirose),
}


def complex_activation(argument: str, name: str) -> ComplexActivation:
    """The activation function ``name``; ``argument`` is the caller's, for the error."""
    return COMPLEX_ACTIVATIONS[checking.choice(argument, name, COMPLEX_ACTIVATIONS)]


def real_gate(z: jax.Array, mix: jax.Array) -> jax.Array:
    """``sigmoid(a Re z + (1 - a) Im z)`` with ``a = sigmoid(mix)``: a gate from 0 to 1.

    The modSigmoid of Wolter & Yao 2018, section 4.1.
    """
    real, imag = parts(z)
    a = jax.nn.sigmoid(wide(mix))
    return jax.nn.sigmoid(a * real + (1.0 - a) * imag)


def complex_gates(names: tuple[str, ...], units: int, **roles: Any) -> GateAxis:
    """A gate axis in which every gate has ``units`` complex numbers."""
    return equal_gates(names, 2 * units, **roles)


def real_form(w: jax.Array, units: int) -> jax.Array:
    """The real matrix ``[2N, G*2M]`` by which packed vectors are multiplied.

    ``w [N, G*2M]`` has the real and then the imaginary part of the complex matrix of each gate.
    """
    by_part = w.reshape(w.shape[0], -1, 2, units)
    real, imag = by_part[:, :, 0], by_part[:, :, 1]
    return jnp.concatenate([w, jnp.stack([-imag, real], axis=2).reshape(w.shape)])


def draw_parts(
    key: jax.Array, rows: int, axis: GateAxis, dtype: Any, *, complex_rows: bool = False
) -> jax.Array:
    """Glorot uniform weights in which the parts of each gate are drawn apart.

    Weights that multiply complex numbers are divided by ``sqrt(2)``, so that both parts together
    have Glorot's variance (Trabelsi et al. 2018, section 3.6).
    """
    halves = GateAxis(
        tuple(f"{part} of {name}" for name in axis.names for part in ("real", "imag")),
        tuple(width // 2 for width in axis.widths for _ in range(2)),
    )
    w = init.glorot()(key, (rows,), halves, dtype)
    return w * jnp.asarray(0.5**0.5, dtype) if complex_rows else w


def draw_readout(key: jax.Array, units: int, size: int, dtype: Any) -> dict[str, jax.Array]:
    """The params of ``readout``."""
    w_y = init.glorot()(key, (2 * units,), equal_gates(("output",), size), dtype)
    return {"w_y": w_y, "b_y": jnp.zeros(size, dtype)}


def readout(params: dict[str, jax.Array], h: jax.Array) -> jax.Array:
    """The real output ``y = [Re h; Im h] w_y + b_y`` (Arjovsky et al. 2016, eq. 9)."""
    return (product(h, params["w_y"]) + params["b_y"]).astype(params["w_x"].dtype)

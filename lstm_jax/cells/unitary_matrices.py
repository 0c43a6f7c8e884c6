"""Unitary matrices made of free real parameters, which every gradient step leaves unitary.

Sources: Arjovsky, Shah & Bengio 2016, "Unitary Evolution Recurrent Neural Networks", eq. 6 ("fft");
Jing et al. 2017, "Tunable Efficient Unitary Neural Networks (EUNN) and their application to RNNs",
sections 3 and 4.1 ("rotations"); Helfrich, Willmott & Ye 2018, "Orthogonal Recurrent Neural
Networks with Scaled Cayley Transform", section 3, with complex numbers as in Maduranga, Helfrich &
Ye 2019, "Complex Unitary Recurrent Neural Networks using Scaled Cayley Transform" ("cayley").
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.cells.complex_numbers import pack, real_form, to_complex
from lstm_jax.core.numerics import product, wide
from lstm_jax.core.typing import Params

# The largest initial input weight in the code of Jing et al. and of Helfrich et al.
SMALL_INPUTS = 0.01


class UnitaryMatrix(NamedTuple):
    """How a unitary matrix W is parameterised, and how it multiplies packed vectors.

    Attributes:
        init: ``(key, dtype) -> params``, the entries of the matrix.
        prepare: ``params -> prepared``, what ``apply`` reads; computed once per sequence.
        apply: ``(prepared, h [..., 2N]) -> [..., 2N]``, the product W h.
    """

    init: Callable[[jax.Array, Any], dict[str, jax.Array]]
    prepare: Callable[[Params], Any]
    apply: Callable[[Any, jax.Array], jax.Array]


def uniform(key: jax.Array, count: int, limit: float, dtype: Any) -> jax.Array:
    """``count`` numbers that are uniform in ``[-limit, limit]``."""
    return jax.random.uniform(key, (count,), jnp.float32, -limit, limit).astype(dtype)


def turn(phase: jax.Array) -> jax.Array:
    """``exp(i phase)``, in complex64 or wider."""
    phase = wide(phase)
    return jax.lax.complex(jnp.cos(phase), jnp.sin(phase))


def unpack(z: jax.Array) -> jax.Array:
    """Complex numbers as a packed vector."""
    return pack(z.real, z.imag)


def fft(units: int, seed: int = 0) -> UnitaryMatrix:
    """``W = D_3 R_2 F^-1 D_2 P R_1 F D_1`` (Arjovsky et al. 2016, eq. 6), with 7N parameters.

    D are diagonals ``exp(i phase)``, ``R = I - 2 v v^* / |v|^2`` are reflections, F is the Fourier
    transform and P a fixed permutation, drawn from ``seed``. Params ``phase_1, phase_2, phase_3
    [N]`` and ``reflection_1, reflection_2 [2N]``; a product takes ``O(N log N)`` operations.
    """
    # RandomState, whose numbers are the same in all versions of NumPy: saved weights rely on them.
    # Indices are int32 in this file, as they are with and without JAX's 64 bits.
    order = np.random.RandomState(seed).permutation(units).astype(np.int32)

    def init(key, dtype):
        keys = jax.random.split(key, 5)
        phases = {f"phase_{i + 1}": uniform(keys[i], units, math.pi, dtype) for i in range(3)}
        return phases | {
            f"reflection_{i + 1}": uniform(keys[3 + i], 2 * units, 1.0, dtype) for i in range(2)
        }

    def prepare(params):
        vectors = [wide(params[f"reflection_{i}"]) for i in (1, 2)]
        normals = [to_complex(v * jax.lax.rsqrt(jnp.sum(v * v))) for v in vectors]
        return [turn(params[f"phase_{i}"]) for i in (1, 2, 3)], normals

    def reflect(z, v):
        along = jnp.sum(z * jnp.conj(v), axis=-1, keepdims=True)
        return z - (along + along) * v

    def apply(prepared, h):
        (d_1, d_2, d_3), (v_1, v_2) = prepared
        z = reflect(jnp.fft.fft(d_1 * to_complex(h)), v_1)
        z = reflect(jnp.fft.ifft(d_2 * z[..., order]), v_2)
        return unpack(d_3 * z)

    return UnitaryMatrix(init, prepare, apply)


def rotations(units: int, capacity: int = 2) -> UnitaryMatrix:
    """``W = D F_L ... F_2 F_1`` (Jing et al. 2017, section 4.1).

    Each F rotates pairs of neighbours: (0, 1), (2, 3), ... in the first layer, (1, 2), (3, 4), ...
    in the second, and so on in turns. A rotation is the matrix ``[[exp(i phi) cos theta,
    -exp(i phi) sin theta], [sin theta, cos theta]]`` (section 3), and D is a diagonal
    ``exp(i phase)``. Params ``phase [N]`` and ``theta, phi``, vectors with one angle per pair,
    layer after layer: about ``N (L + 1)`` numbers. With a ``capacity`` L of N, W can be any unitary
    matrix.
    """
    firsts = [np.arange(layer % 2, units - 1, 2, dtype=np.int32) for layer in range(capacity)]
    ends = np.cumsum([len(first) for first in firsts])
    count = int(ends[-1])

    def init(key, dtype):
        keys = jax.random.split(key, 3)
        sizes = {"theta": count, "phi": count, "phase": units}
        return {
            name: uniform(k, n, math.pi, dtype)
            for k, (name, n) in zip(keys, sizes.items(), strict=True)
        }

    def prepare(params):
        theta = wide(params["theta"])
        cos, sin = (jax.lax.complex(f(theta), jnp.zeros_like(theta)) for f in (jnp.cos, jnp.sin))
        phi = turn(params["phi"])
        one = jnp.ones(units, phi.dtype)
        layers = []
        for first, end in zip(firsts, ends, strict=True):
            of = slice(end - len(first), end)
            own = one.at[first].set(phi[of] * cos[of]).at[first + 1].set(cos[of])
            other = jnp.zeros_like(one).at[first].set(-phi[of] * sin[of])
            layers.append((own, other.at[first + 1].set(sin[of])))
        return layers, turn(params["phase"])

    def neighbour(first):
        order = np.arange(units, dtype=np.int32)
        order[first], order[first + 1] = first + 1, first
        return order

    orders = [neighbour(first) for first in firsts]

    def apply(prepared, h):
        layers, phase = prepared
        z = to_complex(h)
        for (own, other), order in zip(layers, orders, strict=True):
            z = own * z + other * z[..., order]
        return unpack(phase * z)

    return UnitaryMatrix(init, prepare, apply)


def cayley(units: int) -> UnitaryMatrix:
    """``W = (I + A)^-1 (I - A) D`` with ``A^* = -A``, any unitary matrix, with ``N (N + 1)``
    parameters (Helfrich et al. 2018, eq. 4, and Maduranga et al. 2019).

    D is a diagonal ``exp(i phase)``. Params ``phase [N]`` and ``skew [N, N]``, in which the numbers
    above the diagonal are those of the real part of A, which is antisymmetric, and the others those
    of its imaginary part, which is symmetric. They start as in section 4.2 of Helfrich et al.: A
    couples pairs of units, W has eigenvalues of phases up to 90 degrees, times D.
    """

    def init(key, dtype):
        key_skew, key_phase = jax.random.split(key)
        skew = jnp.diag(draw_pairs(key_skew, units), k=1) if units > 1 else jnp.zeros((1, 1))
        return {"skew": skew.astype(dtype), "phase": uniform(key_phase, units, math.pi, dtype)}

    def prepare(params):
        free = wide(params["skew"])
        above, below = jnp.triu(free, 1), jnp.tril(free)
        real, imag = above - above.T, below + jnp.tril(free, -1).T
        # In real numbers (I + A)^-1 (I - A) has the form [[Re, -Im], [Im, Re]] too.
        w = cayley_transform(jnp.block([[real, -imag], [imag, real]]))[:, :units]
        # W is multiplied from the left and these weights from the right, which transposes them.
        turned = scale_columns(w, wide(params["phase"])).T
        return real_form(turned, units).astype(params["skew"].dtype)

    return UnitaryMatrix(init, prepare, lambda w, h: product(h, w))


def scale_columns(w: jax.Array, phase: jax.Array) -> jax.Array:
    """The complex matrix ``w [2N, N]``, its real part above its imaginary one, times a diagonal."""
    real, imag = jnp.split(w, 2)
    cos, sin = jnp.cos(phase), jnp.sin(phase)
    return jnp.concatenate([real * cos - imag * sin, real * sin + imag * cos])


def cayley_transform(a: jax.Array) -> jax.Array:
    """``(I + A)^-1 (I - A)``, which is orthogonal if A is antisymmetric."""
    one = jnp.eye(len(a), dtype=a.dtype)
    return jnp.linalg.solve(one + a, one - a)


def draw_pairs(key: jax.Array, units: int) -> jax.Array:
    """The numbers beside the diagonal of A that couple units 0 and 1, 2 and 3, and so on.

    They are ``sqrt((1 - cos t) / (1 + cos t))`` with t uniform in ``[0, pi / 2]``, so that W turns
    each pair by the angle t (Helfrich et al. 2018, section 4.2).
    """
    angle = jax.random.uniform(key, (units - 1,), jnp.float32, 0.0, math.pi / 2)
    return jnp.where(np.arange(units - 1) % 2 == 0, jnp.tan(angle / 2), 0.0)


UNITARY_MATRICES: dict[str, Callable[..., UnitaryMatrix]] = {
    "fft": fft,
    "rotations": rotations,
    "cayley": cayley,
}

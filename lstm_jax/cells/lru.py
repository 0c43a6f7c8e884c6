"""The linear recurrent unit: a diagonal complex recurrence between two real products."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.core import initializers as init
from lstm_jax.core.builders import linear_cell
from lstm_jax.core.cell import Cell
from lstm_jax.core.gates import equal_gates
from lstm_jax.core.numerics import product, wide
from lstm_jax.core.recipes import factory


class LRUState(NamedTuple):
    """The real and the imaginary part of h."""

    real: Float[Array, "*batch N"]
    imag: Float[Array, "*batch N"]


@factory
def lru(
    size: int,
    *,
    state_size: int | None = None,
    r_min: float = 0.0,
    r_max: float = 1.0,
    max_phase: float = 2.0 * math.pi,
) -> Cell[LRUState]:
    """The LRU: ``h = lambda h + gamma (x B)``, ``y = Re(h C) + x w_skip``, with h complex and
    ``lambda = exp(-exp(nu_log) + i exp(theta_log))``.

    Orvieto et al. 2023, "Resurrecting Recurrent Neural Networks for Long Sequences", section 3
    and appendix A.

    Params, all real: ``w_x [D, 2N]``, the real and the imaginary part of B; ``w_y [2N, H]``, the
    real part of C and minus the imaginary one; ``w_skip [D, H]``; ``nu_log, theta_log, gamma_log
    [N]``, where gamma starts as ``sqrt(1 - |lambda|^2)``. (The paper's code has a diagonal skip,
    which requires inputs of the output's size.) State ``LRUState(real, imag)``; output ``y``.

    Args:
        size: The size H of the output.
        state_size: The number N of complex units; by default H.
        r_min: The smallest initial magnitude of lambda, which is drawn uniformly from a ring
            (lemma 3.2). Long sequences need a value near 1.
        r_max: The largest initial magnitude, at most 1.
        max_phase: Initial phases are in [0, max_phase], in radians. Long sequences need a small
            one.
    """
    size = checking.positive_int("size", size)
    units = size if state_size is None else checking.positive_int("state_size", state_size)
    r_min, r_max = checking.real("r_min", r_min), checking.real("r_max", r_max)
    if r_min < 0:
        raise WrongValue(f"r_min: expected a radius of 0 or more, got {r_min}")
    if not r_min < r_max <= 1:
        raise WrongValue(
            f"r_max: expected a radius above r_min, {r_min}, and at most 1, got {r_max}"
        )
    max_phase = checking.real("max_phase", max_phase)
    if not 0 < max_phase <= 2 * math.pi:
        raise WrongValue(f"max_phase: expected an angle above 0 and at most 2 pi, got {max_phase}")
    axis = equal_gates(("real", "imag"), units)
    to_output = equal_gates(("output",), size)

    def gates(params, x):
        """gamma (x B), which is added to the state."""
        gamma = jnp.exp(wide(params["gamma_log"]))
        parts = axis.split(product(x, params["w_x"]))
        return {name: gamma * part for name, part in parts.items()}

    def coefficients(params, x):
        nu, theta = jnp.exp(wide(params["nu_log"])), jnp.exp(wide(params["theta_log"]))
        added = gates(params, x)
        b = jax.lax.complex(added["real"], added["imag"])
        return jnp.exp(jax.lax.complex(-nu, theta)), b

    def output(params, h, x):
        y = product(jnp.concatenate([h.real, h.imag], axis=-1), params["w_y"])
        return (y + product(x, params["w_skip"])).astype(params["w_x"].dtype)

    def init_params(key, input_size, dtype):
        key_x, key_y, key_skip, key_nu, key_theta = jax.random.split(key, 5)
        # For draws of exactly 0 or 1 the logarithms below would be infinite.
        tiny = 1e-6
        area = jax.random.uniform(key_nu, (units,), jnp.float32, tiny, 1.0 - tiny)
        nu = -0.5 * jnp.log(r_min**2 + area * (r_max**2 - r_min**2))
        phase = max_phase * jax.random.uniform(key_theta, (units,), jnp.float32, tiny, 1.0)
        vectors = {
            "nu_log": jnp.log(nu),
            "theta_log": jnp.log(phase),
            "gamma_log": 0.5 * jnp.log(-jnp.expm1(-2.0 * nu)),
        }
        return {
            "w_x": init.normal((2 * input_size) ** -0.5)(key_x, (input_size,), axis, dtype),
            "w_y": init.normal(units**-0.5)(key_y, (2 * units,), to_output, dtype),
            "w_skip": init.lecun()(key_skip, (input_size,), to_output, dtype),
        } | {name: leaf.astype(dtype) for name, leaf in vectors.items()}

    return linear_cell(
        "lru",
        size,
        axis,
        init=init_params,
        state=lambda zeros: LRUState(zeros(units), zeros(units)),
        coefficients=coefficients,
        read=lambda state: jax.lax.complex(wide(state.real), wide(state.imag)),
        write=lambda h: LRUState(h.real, h.imag),
        output=output,
        gates=gates,
    )

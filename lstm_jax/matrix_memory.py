"""Cells whose memory is a matrix: the step derived from the form, and the builder.

A sum of outer products ``k v^T`` remembers values under keys, and a query reads it by a product.
``lstm_jax/unrolling/over_matrices.py`` takes many steps of the same recurrence together.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from lstm_jax.cell import Cell, like, plain_cell
from lstm_jax.errors import WrongValue
from lstm_jax.forms import MatrixMemory, Params, Projected, State
from lstm_jax.gates import GateAxis


def matrix_cell(
    name: str,
    size: int,
    axis: GateAxis,
    *,
    init: Callable[[jax.Array, int, Any], Params],
    state: Callable[[Callable[..., jax.Array]], State],
    project: Callable[[Params, jax.Array], Projected],
    read: Callable[[State], tuple[jax.Array, jax.Array | None]],
    write: Callable[[jax.Array, jax.Array | None], State],
    output: Callable[[Params, jax.Array, jax.Array | None, jax.Array | None], jax.Array],
) -> Cell:
    """A cell of the form with a matrix memory; its step is derived from these functions.

    state: builds the initial state out of ``zeros(*shape)``, without the batch axes.
    """
    form = MatrixMemory(project, read, write, output)
    cell = plain_cell(name, size, axis, init=init, state=state, advance=matrix_advance(form))
    return cell._replace(form=form)


def matrix_advance(
    form: MatrixMemory,
) -> Callable[[Params, State, jax.Array], tuple[State, jax.Array]]:
    """The step of a form with a matrix memory."""

    def advance(params: Params, state: State, x: jax.Array) -> tuple[State, jax.Array]:
        of_x = form.project(params, x)
        s, m = form.read(state)
        s, m = one_step(of_x, s, m)
        o = jnp.einsum("...k,...kv->...v", of_x.q, s)
        return like(state, form.write(s, m)), form.output(params, o, m, of_x.aside)

    return advance


def one_step(
    of_x: Projected, s: jax.Array, m: jax.Array | None
) -> tuple[jax.Array, jax.Array | None]:
    """The memory and its stabiliser after one step."""
    _, k, v, log_keep, log_write, strength, _ = of_x
    if log_write is not None:
        if strength is not None:
            raise WrongValue("project: expected a strength or a log_write, got both")
        assert m is not None
        kept = m if log_keep is None else log_keep + m
        m = jnp.maximum(kept, log_write)
        s = jnp.exp(kept - m)[..., None, None] * s
        k = jnp.exp(log_write - m)[..., None] * k
    elif log_keep is not None:
        s = jnp.exp(log_keep)[..., None, None] * s
    if strength is not None:
        v = strength[..., None] * (v - jnp.einsum("...k,...kv->...v", k, s))
    return s + k[..., :, None] * v[..., None, :], m

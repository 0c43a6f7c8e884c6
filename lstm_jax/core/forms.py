"""The forms that a cell may declare: what the unroll may know of its recurrence.

Axes: T time, ``*batch`` any number of batch axes, D input size, H hidden size, G gates,
R the size of the recurrent source (H in most cells).
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
from jaxtyping import Float, Integer

from lstm_jax.core.typing import AnyArray, Params, State


class Weights(NamedTuple):
    """The matrices that a gated cell's products take, and the bias that joins the input's."""

    w_x: jax.Array  # [D, G*H]
    w_h: jax.Array  # [R, G*H]
    b: jax.Array | None = None  # [G*H]; None: no bias, or one that pointwise adds itself
    w_p: jax.Array | None = None  # [H, P]: a projection of the output (Sak et al. 2014)


class Gated(NamedTuple):
    """The gated form: two products and an elementwise function of them.

    ``z = x w_x + b``, ``r = source(state) w_h``, then ``pointwise(vectors, state, z, r)`` gives
    ``(state, y, gates)``. ``split`` takes params apart into ``Weights`` and the vectors that
    pointwise reads (peepholes, norms, masks). Both functions are written on the last axis only:
    the same lines serve one row, a batch, and a whole sequence.
    With ``additive``, pointwise reads ``z + r`` alone, or, where it is a number, reads so of the
    first so many columns. With ``Weights.w_p``, the output and the state's ``h`` are finally
    multiplied by it.
    """

    pointwise: Callable[[Any, Any, jax.Array, jax.Array], tuple[Any, jax.Array, dict]]
    split: Callable[[Params], tuple[Weights, Any]]
    source: Callable[[Any, Any], jax.Array]
    additive: bool | int = False


class Linear(NamedTuple):
    """The linear form: ``h_t = a_t h_{t-1} + b_t``, unit by unit, with a and b of x alone.

    ``coefficients(params, x)`` gives ``(a, b)``; a may lack leading axes where it does not depend
    on x. ``read(state)`` gives the ``h`` of a state, real or complex, in float32 or wider;
    ``write(h)`` the state, a NamedTuple of real arrays. ``output(params, h, x)`` gives y, in the
    dtype of the weights. All are written on the last axis only, as in the gated form.
    Ways through time that multiply many a's with each other take them to be at most 1 in size.
    """

    coefficients: Callable[[Params, jax.Array], tuple[jax.Array, jax.Array]]
    read: Callable[[State], jax.Array]
    write: Callable[[jax.Array], State]
    output: Callable[[Params, jax.Array, jax.Array], jax.Array]


class Projected(NamedTuple):
    """What a cell with a matrix memory takes from its inputs, H heads of one matrix each.

    q, k: ``[..., heads, K]``, the query that reads and the key that writes.
    v: ``[..., heads, V]``, what is written.
    log_keep: ``[..., heads]``, at most 0 unless there is a ``log_write``: the logarithm of the
        share of the memory that stays; None for all of it.
    log_write: ``[..., heads]``, of any size: the logarithm of what the write is multiplied by;
        None for 1.
    strength: ``[..., heads]``: of the delta rule, which writes only what the key does not already
        read; None for the plain sum. It goes without ``log_write``.
    aside: what ``output`` needs beside the memory, such as an output gate; None for nothing.
    """

    q: jax.Array
    k: jax.Array
    v: jax.Array
    log_keep: jax.Array | None = None
    log_write: jax.Array | None = None
    strength: jax.Array | None = None
    aside: jax.Array | None = None


class MatrixMemory(NamedTuple):
    """The form with a matrix memory a head: ``S_t = keep_t S_{t-1} + write_t k_t u_t^T``, read as
    ``q_t S_t``, with all of these of x alone.

    ``u = v`` or, under the delta rule, ``u_t = strength_t (v_t - keep_t k_t S_{t-1})``.
    Where there is a ``log_write`` the memory is kept divided by ``exp(m)``, with the stabiliser
    ``m_t = max(log_keep_t + m_{t-1}, log_write_t)``, so that no exponential overflows.

    ``project(params, x)`` gives ``Projected``. ``read(state)`` gives ``(S, m)``, S
    ``[*batch, heads, K, V]`` in float32 or wider and m ``[*batch, heads]``, or None without
    ``log_write``; ``write(S, m)`` the state. ``output(params, o, m, aside)`` gives y in the dtype
    of the weights, with o ``[..., heads, V]`` what the queries read. ``project`` and ``output``
    are written on the last axes only: the same lines serve a step and a whole sequence.
    """

    project: Callable[[Params, jax.Array], Projected]
    read: Callable[[State], tuple[jax.Array, jax.Array | None]]
    write: Callable[[jax.Array, jax.Array | None], State]
    output: Callable[[Params, jax.Array, jax.Array | None, jax.Array | None], jax.Array]


class AttentionState(NamedTuple):
    """The state of the windowed form: the keys and values of the last W steps, newest last.

    filled: how many of the places are taken; the others, before them, are zero. A sequence starts
    with none, so what an initial state has in its places is never read.
    """

    keys: Float[jax.Array, "*batch heads W d"]
    values: Float[jax.Array, "*batch heads W d"]
    filled: Integer[jax.Array, "*batch"]

    @property
    def written(self) -> tuple:
        """A place that is not filled is not read: see ``lstm_jax/core/states.py``."""
        return ("keys", "values")


class Windowed(NamedTuple):
    """The windowed form: each step reads keys and values of the last ``window`` steps, its own
    among them, and nothing else of the past. Its state is an ``AttentionState``.

    ``project(params, x)`` gives ``(q, k, v)``, each ``[..., heads, d]``, of x alone.
    ``place(vectors, positions)`` tells queries and keys ``[..., P, d]`` where in time they stand,
    such that their products depend on the distance alone. ``bias(params, distances)`` gives what
    is added to the scores, ``[heads, *distances]``, or None. ``output(params, o, x)`` gives y of
    the weighted values ``o [..., heads, d]``, in the dtype of the weights.
    """

    window: int
    project: Callable[[Params, jax.Array], tuple[jax.Array, jax.Array, jax.Array]]
    place: Callable[[jax.Array, AnyArray], jax.Array]
    bias: Callable[[Params, np.ndarray], jax.Array | None]
    output: Callable[[Params, jax.Array, jax.Array], jax.Array]


class Run(Protocol):
    """Unrolls one cell over a whole sequence; the driver hands it to composite cells."""

    def __call__(
        self,
        cell: Any,
        params: Params,
        xs: jax.Array,
        state: State,
        initial: State,
        *,
        reverse: bool = False,
        method: str | None = None,
    ) -> tuple[State, jax.Array]: ...


class Composite(NamedTuple):
    """The form of cells made of cells: how the parts run over a whole sequence.

    ``over_time(run, params, xs, state, initial)`` gives ``(state, ys)``. ``initial`` is the
    state that a reset returns to; lengths, resets, direction and method are already in ``run``.
    """

    over_time: Callable[[Run, Params, jax.Array, State, State], tuple[State, jax.Array]]


Form = Gated | Linear | MatrixMemory | Windowed | Composite

"""The forms that a cell may declare: what the unroll may know about its recurrence.

Axes: T time, ``*batch`` any number of batch axes, D input size, H hidden size, G gates,
R the size of the recurrent source (H in most cells).
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
from jaxtyping import Float, Integer

from lstm_jax.core.numerics import product
from lstm_jax.core.typing import AnyArray, Params, State, StateT


class Weights(NamedTuple):
    """The weights of a gated cell's products, and the bias that is added to the input's."""

    w_x: jax.Array  # [D, G*H], or [*kernel, D, G*H] of a convolution
    w_h: jax.Array  # [R, G*H], likewise; R is 0 if there is no recurrent product
    b: jax.Array | None = None  # [G*H]; None if there is no bias, or if pointwise adds it
    w_p: jax.Array | None = None  # [H, P]: a projection of the output (Sak et al. 2014)


# ``(x, w) -> z``, linear in each
Product = Callable[[jax.Array, jax.Array], jax.Array]

# ``(vectors, state, z, r) -> (state, y, gates)``
Pointwise = Callable[
    [Any, StateT, jax.Array, jax.Array], tuple[StateT, jax.Array, dict[str, jax.Array]]
]


class Gated(NamedTuple):
    """The gated form: two products and an elementwise function of them.

    ``z = x w_x + b`` and ``r = source(vectors, state) w_h``, then ``pointwise``. If there is a
    projection ``Weights.w_p``, the output and the state's ``h`` are finally multiplied by it.
    Functions act on the last axis only (with a ``Grid``, on its axes too), so that the same lines
    serve a row, a batch and a whole sequence.

    Attributes:
        pointwise: ``(vectors, state, z, r) -> (state, y, gates)``.
        split: ``params -> (Weights, vectors)``, the second being what ``pointwise`` reads beside
            the products (peepholes, norms, masks).
        source: ``(vectors, state) -> [..., R]``, what ``w_h`` multiplies.
        additive: Whether ``pointwise`` reads only the sum ``z + r``; a number says that it does so
            in that many leading columns.
        product_x: ``(x, w_x) -> z``, linear in each: a product of matrices, or a ``Convolution``.
        product_h: ``(source, w_h) -> r``, likewise.
    """

    pointwise: Pointwise[State]
    split: Callable[[Params], tuple[Weights, Any]]
    source: Callable[[Any, Any], jax.Array]
    additive: bool | int = False
    product_x: Product = product
    product_h: Product = product


class Observed(NamedTuple):
    """What ``lj.trace`` shows of a step beside its state and output.

    Attributes:
        gates: The gates by name, ``[*batch, H]``, or ``[*batch, heads]`` with one per head.
        attention: The attention weights, ``[*batch, W]`` or ``[*batch, heads, W]``; None for a cell
            without attention.
        parts: What the named parts of a composite show, by name: ``(read, state, y, Observed)``,
            the first being the state before the step.
    """

    gates: dict[str, jax.Array]
    attention: jax.Array | None = None
    parts: dict[str, Any] = {}  # noqa: RUF012 (never written to)


def no_gates(*_: Any) -> dict[str, jax.Array]:
    """The gates of a cell that does not name any."""
    return {}


class Linear(NamedTuple):
    """The linear form: ``h_t = a_t h_{t-1} + b_t``, unit by unit, where a and b depend on x only.

    Functions act on the last axis only, as in the gated form. Methods that multiply many of the
    a's with each other rely on magnitudes of at most 1.

    Attributes:
        coefficients: ``(params, x) -> (a, b)``; a may lack leading axes if it does not depend on x.
        read: ``state -> h``, real or complex, in float32 or wider.
        write: ``h -> state``, a NamedTuple of real arrays.
        output: ``(params, h, x) -> y``, in the dtype of the weights.
        gates: ``(params, x) -> gates``, by name, for ``lj.trace``.
    """

    coefficients: Callable[[Params, jax.Array], tuple[jax.Array, jax.Array]]
    read: Callable[[State], jax.Array]
    write: Callable[[jax.Array], State]
    output: Callable[[Params, jax.Array, jax.Array], jax.Array]
    gates: Callable[[Params, jax.Array], dict[str, jax.Array]] = no_gates


class Projected(NamedTuple):
    """What a cell with a matrix memory computes from its inputs, with one matrix per head.

    Attributes:
        q: The query that reads, ``[..., heads, K]``.
        k: The key that writes, ``[..., heads, K]``.
        v: The value that is written, ``[..., heads, V]``.
        log_keep: The logarithm of the share of the memory that stays, ``[..., heads]``, at most 0
            unless there is a ``log_write``. None keeps everything.
        log_write: The logarithm of the factor of the write, ``[..., heads]``, of any size. None
            means a factor of 1.
        strength: The strength of the delta rule, ``[..., heads]``, which writes only what the key
            does not already read. None for the plain sum. It excludes ``log_write``.
        aside: What ``output`` needs beside the memory, such as an output gate, or None.
    """

    q: jax.Array
    k: jax.Array
    v: jax.Array
    log_keep: jax.Array | None = None
    log_write: jax.Array | None = None
    strength: jax.Array | None = None
    aside: jax.Array | None = None


class MatrixMemory(NamedTuple):
    """The form with one matrix memory per head: ``S_t = keep_t S_{t-1} + write_t k_t u_t^T``.

    The memory is read as ``q_t S_t``. Queries, keys, values and gates depend on x only, with
    ``u = v`` or, under the delta rule, ``u_t = strength_t (v_t - keep_t k_t S_{t-1})``. If there is
    a ``log_write``, the memory is kept divided by ``exp(m)``, with the stabiliser
    ``m_t = max(log_keep_t + m_{t-1}, log_write_t)``, so that no exponential overflows.
    ``project`` and ``output`` act on the last axes only, so that the same lines serve a step and a
    whole sequence.

    Attributes:
        project: ``(params, x) -> Projected``.
        read: ``state -> (S, m)``, with ``S [*batch, heads, K, V]`` in float32 or wider and
            ``m [*batch, heads]``, or None without ``log_write``.
        write: ``(S, m) -> state``.
        output: ``(params, o, m, aside) -> y``, in the dtype of the weights, where
            ``o [..., heads, V]`` is what the queries read.
        gates: ``Projected -> gates``, by name, for ``lj.trace``, which adds the factors of the
            memory and of the write: "forget" and "input".
    """

    project: Callable[[Params, jax.Array], Projected]
    read: Callable[[State], tuple[jax.Array, jax.Array | None]]
    write: Callable[[jax.Array, jax.Array | None], State]
    output: Callable[[Params, jax.Array, jax.Array | None, jax.Array | None], jax.Array]
    gates: Callable[[Projected], dict[str, jax.Array]] = no_gates


class AttentionState(NamedTuple):
    """The state of the windowed form: the keys and values of the last W steps, newest last.

    ``filled`` is the number of places in use; the others, before them, are zero. A sequence starts
    with none, so the keys and values of an initial state are never read.
    """

    keys: Float[jax.Array, "*batch heads W d"]
    values: Float[jax.Array, "*batch heads W d"]
    filled: Integer[jax.Array, "*batch"]

    @property
    def written(self) -> tuple[str, ...]:
        """Places that are not filled are not read: see ``lstm_jax/core/states.py``."""
        return ("keys", "values")


class Windowed(NamedTuple):
    """The windowed form: softmax attention to the last ``window`` steps, the current one included.

    A step reads nothing else of the past. The state is an ``AttentionState``.

    Attributes:
        window: The number W of steps.
        project: ``(params, x) -> (q, k, v)``, each ``[..., heads, d]``, which depend on x only.
        place: ``(vectors, positions) -> vectors``, the position encoding of queries and keys
            ``[..., P, d]``, such that their products depend only on the distance.
        bias: ``(params, distances) -> [heads, *distances]``, added to the scores; or None.
        output: ``(params, o, x) -> y``, of the weighted values ``o [..., heads, d]``, in the dtype
            of the weights.
    """

    window: int
    project: Callable[[Params, jax.Array], tuple[jax.Array, jax.Array, jax.Array]]
    place: Callable[[jax.Array, AnyArray], jax.Array]
    bias: Callable[[Params, np.ndarray], jax.Array | None]
    output: Callable[[Params, jax.Array, jax.Array], jax.Array]


class Plain(NamedTuple):
    """The form of a cell of no other form, whose step shows its gates; it is only scanned.

    Attributes:
        observe: ``(params, state, x) -> (state, y, Observed)``.
    """

    observe: Callable[[Params, State, jax.Array], tuple[State, jax.Array, Observed]]


class Run(Protocol):
    """Runs one part of a composite: over a whole sequence, or for a step.

    The driver runs it over a sequence. ``lj.trace`` does so too, and then the state that it returns
    has a leading T. For a step, ``xs`` is one input ``[*batch, D]``. ``name`` is what ``lj.trace``
    calls the part; without a name, the part's gates are those of the composite.
    """

    def __call__(
        self,
        cell: Any,
        params: Params,
        xs: jax.Array,
        state: State,
        initial: State,
        /,
        *,
        reverse: bool = False,
        method: str | None = None,
        name: str | None = None,
    ) -> tuple[State, jax.Array]: ...


class PartCall(NamedTuple):
    """A call of ``Run``: what a composite asks of one of its parts."""

    cell: Any
    params: Params
    xs: jax.Array
    state: State
    initial: State
    reverse: bool = False
    method: str | None = None
    name: str | None = None


class Composite(NamedTuple):
    """The form of cells made of cells: how the parts run.

    Attributes:
        over_time: ``(run, params, xs, state, initial) -> (state, ys)``, where ``initial`` is the
            state that a reset returns to. ``run`` already has lengths, resets, direction and
            method. The step is derived from it too, with one input ``[*batch, D]`` in the place of
            ``xs``, so it acts on last axes only. It takes the states of its parts out of ``state``
            and puts those that ``run`` returns together, without reading their values.
    """

    over_time: Callable[[Run, Params, jax.Array, State, State], tuple[State, jax.Array]]

    def run_parts(
        self,
        run_part: Callable[[PartCall], tuple[State, jax.Array]],
        params: Params,
        xs: jax.Array,
        state: State,
        initial: State,
    ) -> tuple[State, jax.Array]:
        """``over_time``, with a function of one argument that runs each part."""

        def run(
            cell: Any, params: Params, xs: jax.Array, state: State, initial: State, /, *,
            reverse: bool = False, method: str | None = None, name: str | None = None,
        ) -> tuple[State, jax.Array]:  # fmt: skip
            return run_part(PartCall(cell, params, xs, state, initial, reverse, method, name))

        return self.over_time(run, params, xs, state, initial)


Form = Gated | Linear | MatrixMemory | Windowed | Plain | Composite

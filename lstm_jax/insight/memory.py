"""What a state remembers: time scales from the gates, and memory curves."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from lstm_jax._internal import cell_checks, checking
from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core.cell import Cell
from lstm_jax.core.forms import MatrixMemory
from lstm_jax.core.numerics import wide
from lstm_jax.core.typing import AnyArray, Key, Params
from lstm_jax.insight.regression import fit_ridge
from lstm_jax.insight.trace import trace
from lstm_jax.insight.traces import Trace

INPUTS: dict[str, Callable[..., Any]] = {
    "uniform": lambda key, shape: jax.random.uniform(key, shape, minval=-1.0),
    "normal": lambda key, shape: jax.random.normal(key, shape),
}


@default_promotion
def time_scales(cell: Cell, trace: Trace) -> jax.Array:
    """How long each unit keeps what it holds, by its gates, in steps: ``[H]``.

        scales = lj.insight.time_scales(cell, lj.trace(cell, params, xs))

    A memory that is multiplied by k at each step falls to 1/e in ``-1 / log(k)`` steps (Tallec &
    Ollivier 2018, "Can recurrent neural networks warp time?", section 2). Here k is the mean over
    all steps that count of the gate that keeps: the forget gate of the LSTM, the update gate of the
    GRU, one minus a gate that overwrites. The scale is infinite if the gate is always open, 0 if it
    is always closed. It takes one pass over a gate.

    Args:
        cell: A cell with a gate that keeps; a wrapper has that of the cell that it wraps.
        trace: A trace of this cell.

    Returns:
        The time scales, ``[H]``, or ``[heads]`` for a gate with one value per head.

    Raises:
        ValueError, TypeError: For a cell without such a gate, and for the trace of another cell, or
            one without this gate.
    """
    cell_checks.cell("cell", cell, memory=True)
    check_trace(trace)
    keeps = cell.axis.keeps
    if not keeps and isinstance(cell.form, MatrixMemory):
        keeps = (("forget", 1),)  # what lj.trace calls the factor of the memory
    if not keeps:
        hint = " (take its layers and the trace's parts one by one)" if trace.parts else ""
        raise WrongValue(
            f"cell: expected a cell with a gate that keeps its memory, got {cell.name}{hint}"
        )
    ((name, sign),) = keeps
    gate = _gate(trace, name)
    if {"input", "forget", "candidate"} == set(cell.gates):
        other = _gate(trace, "input")  # the minLSTM, whose two gates are scaled to a sum of one
        gate = gate / jnp.where(gate + other == 0, 1.0, gate + other)
    mask = jnp.expand_dims(trace.mask, range(trace.mask.ndim, gate.ndim))
    axes = tuple(range(trace.mask.ndim))
    mean = jnp.sum(jnp.where(mask, wide(gate), 0), axes) / jnp.sum(mask, axes)
    return -1.0 / jnp.log(mean if sign > 0 else 1.0 - mean)


def check_trace(value: Any, argument: str = "trace") -> None:
    """Checks that ``value`` is a ``Trace``."""
    if not isinstance(value, Trace):
        raise WrongType(
            f"{argument}: expected a Trace, as lj.trace(cell, params, xs) returns it, got "
            f"{type(value).__name__}"
        )


def _gate(trace: Trace, name: str) -> jax.Array:
    if name not in trace.gates:
        got = ", ".join(trace.gates) or "no gates"
        raise WrongValue(f"trace: expected a trace with the gate {name}, got {got}")
    return trace.gates[name]


class MemoryCurve(NamedTuple):
    """How well the inputs of past steps can be read from a state.

    Attributes:
        r2: The share of the variance of the input k steps ago that a linear readout explains on
            held-out steps, ``[K]`` for k from 0, the step that was just read. A readout that is
            worse than the mean (R² below 0) counts as 0.
        capacity: The sum of ``r2``, in steps. It is at most the number of numbers in the state,
            apart from chance, if inputs are independent (Jaeger 2001, proposition 2).
    """

    r2: jax.Array
    capacity: jax.Array


@default_promotion
def memory_curve(
    cell: Cell,
    params: Params,
    key: Key,
    *,
    lags: int,
    steps: int = 4000,
    washout: int = 200,
    ridge: float = 1e-9,
    input: str | Callable[[jax.Array, tuple[int, int]], jax.Array] = "uniform",
) -> MemoryCurve:
    """How well the input of k steps ago can be read from the state, for each k.

        curve = lj.insight.memory_curve(cell, params, jax.random.key(0), lags=100)
        curve.capacity  # in steps

    Jaeger 2001, "Short term memory in echo state networks" (GMD report 152), definition 1: the cell
    reads independent random numbers, and a linear readout of its state, one per lag, is fitted
    on one stretch of steps and judged on the next. (Jaeger counts lags from 1; subtract ``r2[0]``
    for his capacity.) It takes one unroll of one row, and a singular value decomposition of the
    states, ``O(steps S^2)`` with S numbers in the state. Under ``jax.enable_x64`` with float64
    params it is computed in float64, which nearly singular states deserve.

    Args:
        cell: A cell for inputs of size 1.
        params: Its params.
        key: The random key of the inputs.
        lags: The number K of lags, from 0 to K - 1.
        steps: The number of steps after the washout; the first half is for the fit, the second is
            held out. Take many times the numbers in the state.
        washout: The number of first steps that are left out, in which the state still depends on
            its start.
        ridge: The penalty on the squares of the readout's weights, as a share of the largest
            variance of the state in any direction.
        input: "uniform" on [-1, 1), "normal" with variance 1, or a function ``(key, shape) ->
            inputs``.

    Returns:
        The ``MemoryCurve``.

    Raises:
        ValueError, TypeError: For a wrong argument, such as params for another input size.
    """
    cell_checks.cell("cell", cell, memory=True)
    size = cell_checks.input_size_of(cell, params)
    if size != 1:
        raise WrongValue(f"params: expected those for inputs of size 1, got those for size {size}")
    key = checking.random_key("key", key)
    checking.positive_int("lags", lags)
    count = checking.positive_int("steps", steps) + _whole("washout", washout)
    if not callable(input):
        input = INPUTS[checking.choice("input", input, INPUTS)]
    drawn = checking.float_array("input", input(key, (count, 1)), "[steps, 1]", 2)
    if drawn.shape != (count, 1):
        raise WrongValue(f"input: expected shape {(count, 1)}, got {drawn.shape}")
    dtypes = [leaf.dtype for leaf in jax.tree.leaves(params)]
    drawn = drawn.astype(jnp.result_type(*dtypes) if dtypes else drawn.dtype)
    states = trace(cell, params, drawn).states
    return memory_curve_of(states, drawn[:, 0], lags=lags, washout=washout, ridge=ridge)


@default_promotion
def memory_curve_of(
    states: Any, inputs: AnyArray, *, lags: int, washout: int = 0, ridge: float = 1e-9
) -> MemoryCurve:
    """The memory curve of given states and inputs; see ``memory_curve``.

        curve = lj.insight.memory_curve_of(lj.trace(cell, params, xs).states, xs[:, 0], lags=50)

    Args:
        states: The state after each step of one row, ``[T, ...]``: an array, or the ``states`` of a
            trace. All its numbers are read together.
        inputs: The number that is to be remembered of each step, ``[T]``.
        lags: The number K of lags, from 0 to K - 1.
        washout: The number of first steps that are left out, at least ``lags - 1`` in effect.
        ridge: As for ``memory_curve``.

    Returns:
        The ``MemoryCurve``.

    Raises:
        ValueError, TypeError: For a wrong argument, such as too few steps.
    """
    lags = checking.positive_int("lags", lags)
    first = max(_whole("washout", washout), lags - 1)
    if checking.real("ridge", ridge) < 0:
        raise WrongValue(f"ridge: expected a number of 0 or more, got {ridge}")
    inputs = checking.float_array("inputs", inputs, "[T]", 1)
    columns = [
        wide(leaf).reshape(leaf.shape[0], -1)
        for leaf in map(jnp.asarray, jax.tree.leaves(states))
        if jnp.issubdtype(leaf.dtype, jnp.floating) and leaf.ndim > 0
    ]
    if inputs.ndim != 1 or not columns or any(len(leaf) != len(inputs) for leaf in columns):
        got = [leaf.shape for leaf in jax.tree.leaves(states)]
        raise WrongValue(
            f"states: expected floats [T, ...] beside inputs [T], got shapes {got} and "
            f"{inputs.shape}"
        )
    read = jnp.concatenate(columns, axis=-1)[first:]
    if len(read) < 4:
        raise WrongValue(
            f"states: expected at least {first + 4} steps with {lags} lags and a washout of "
            f"{washout}, got {len(inputs)}"
        )
    steps = jnp.arange(first, len(inputs))
    targets = wide(inputs)[steps[:, None] - jnp.arange(lags)]
    r2 = _held_out_r2(read, targets, float(ridge))
    return MemoryCurve(r2, jnp.sum(r2))


@jax.jit
def _held_out_r2(states: jax.Array, targets: jax.Array, ridge: float) -> jax.Array:
    """R² on the second half of the steps, after a fit on the first; at least 0."""
    half = len(states) // 2
    predict = fit_ridge(states[:half], targets[:half], ridge)
    rest = targets[half:]
    errors = jnp.sum(jnp.square(predict(states[half:]) - rest), axis=0)
    spread = jnp.sum(jnp.square(rest - jnp.mean(rest, axis=0)), axis=0)
    return jnp.maximum(1.0 - errors / jnp.where(spread == 0, 1.0, spread), 0.0)


def _whole(argument: str, value: Any) -> int:
    return checking.seed(argument, value)

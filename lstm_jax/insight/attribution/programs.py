"""The recorded program of a step, in which relevance runs back."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.extend.core as jex
import jax.numpy as jnp


@dataclasses.dataclass(eq=False)
class Value:
    """A variable of a recorded program.

    Attributes:
        array: Its value.
        data: Whether it depends on the data, that is, may have relevance.
        made: The operation that it comes from; None for an argument.
        gate: Whether it is a gate, where its name says so.
    """

    array: Any
    data: bool
    made: "Operation | None" = None
    gate: bool | None = None


class Operation(NamedTuple):
    """One operation of a recorded program; ``run`` computes its results from its inputs."""

    name: str
    inputs: list[Value]
    outputs: list[Value]
    run: Callable[..., Any]
    params: dict[str, Any]


# Functions of one argument that the tracer keeps together, by their names.
NAMED = ("sigmoid", "hard_sigmoid", "relu", "relu6", "silu", "gelu", "elu", "softplus")
SQUASHING = ("tanh", "logistic", "erf", "max", "min", "clamp", *NAMED)
GATES = ("logistic", "rsqrt", "sigmoid", "hard_sigmoid")
CALLS = ("jit", "pjit", "closed_call", "core_call", "remat", "checkpoint", "custom_jvp_call",
         "custom_vjp_call")  # fmt: skip
MOVES = ("split", "concatenate", "slice", "squeeze", "reshape", "broadcast_in_dim", "transpose",
         "rev", "pad", "gather", "dynamic_slice", "select_n", "expand_dims")  # fmt: skip
COPIES = ("convert_element_type", "stop_gradient", "copy", "copy_p", "optimization_barrier")
SUMS = ("add", "add_any", "sub", "neg")
LINEAR = ("dot_general", "reduce_sum")


def record(
    function: Callable[..., Any],
    inputs: list[Value],
    others: dict[str, Callable[..., Any]] | None = None,
) -> tuple[list[Operation], list[Value]]:
    """Runs ``function`` of the inputs' arrays, and keeps every operation.

    Args:
        function: The function, which returns a list of arrays.
        inputs: Its arguments.
        others: How to run further operations by name, ``(*arrays, **params) -> array``.

    Returns:
        The operations in their order, and the results.
    """
    closed = jax.make_jaxpr(function)(*(value.array for value in inputs))
    operations: list[Operation] = []
    return operations, _record(operations, closed.jaxpr, closed.consts, inputs, others or {})


def _record(
    operations: list[Any],
    jaxpr: Any,
    consts: Any,
    inputs: list[Value],
    others: dict[str, Callable[..., Any]],
) -> list[Value]:
    known = dict(zip(jaxpr.constvars, (Value(c, False) for c in consts), strict=True))
    known |= dict(zip(jaxpr.invars, inputs, strict=True))

    def read(var: Any) -> Value:
        return Value(var.val, False) if isinstance(var, jex.Literal) else known[var]

    for eqn in jaxpr.eqns:
        values = [read(var) for var in eqn.invars]
        name, inner = eqn.primitive.name, eqn.params.get("jaxpr", eqn.params.get("call_jaxpr"))
        run: Callable[..., Any] = functools.partial(_run, eqn)
        if name in CALLS and inner is not None:
            name = eqn.params.get("name", "")
            if name not in NAMED or len(eqn.outvars) != 1:
                body, inner_consts = getattr(inner, "jaxpr", inner), getattr(inner, "consts", ())
                outs = _record(operations, body, inner_consts, values, others)
                known |= dict(zip(eqn.outvars, outs, strict=True))
                continue
            run = functools.partial(_call, inner)
        if name in others:
            run = functools.partial(_run_other, others[name], eqn.params)
        data = any(value.data for value in values)
        outs = [
            Value(array, data and jnp.issubdtype(array.dtype, jnp.floating))
            for array in run(*(value.array for value in values))
        ]
        operation = Operation(name, values, outs, run, eqn.params)
        for out in outs:
            out.made = operation
        operations.append(operation)
        known |= dict(zip(eqn.outvars, outs, strict=True))
    return [read(var) for var in jaxpr.outvars]


def _call(inner: Any, *arrays: Any) -> list[Any]:
    return list(jex.jaxpr_as_fun(inner)(*arrays))


def _run_other(function: Callable[..., Any], params: dict[str, Any], *arrays: Any) -> list[Any]:
    return [function(*arrays, **params)]


def _run(eqn: Any, *arrays: Any) -> list[Any]:
    params = eqn.primitive.get_bind_params(eqn.params)
    functions: Any = ()
    if isinstance(params, tuple):  # in versions of JAX whose primitives may have functions
        functions, params = params
    outs = eqn.primitive.bind(*functions, *arrays, **params)
    return list(outs) if eqn.primitive.multiple_results else [outs]


def gate_rank(value: Value) -> int:
    """How sure it is that a value only weights others.

    Returns:
        2 for a gate by name, 1 for a sigmoid or the root in a norm, 0 for others. Moved, scaled and
        shifted, such as in ``1 - gate``, a gate stays one.
    """
    if value.gate is not None:
        return 2 if value.gate else 0
    if value.made is None:
        return 0
    if value.made.name in GATES:
        return 1
    inputs = [v for v in value.made.inputs if v.data]
    passes = (*MOVES, *COPIES, *SUMS, "mul", "div")
    if value.made.name not in passes or not inputs:
        return 0
    return min(map(gate_rank, inputs))


def is_squashed(value: Value) -> bool:
    """Whether a value is a nonlinear function of one other, such as ``2 sigmoid(x) - 1``."""
    if value.made is None:
        return False
    inputs = [v for v in value.made.inputs if v.data]
    if value.made.name in SQUASHING:
        return True
    passes = (*MOVES, *COPIES, *SUMS, "mul", "div")
    return value.made.name in passes and len(inputs) == 1 and is_squashed(inputs[0])

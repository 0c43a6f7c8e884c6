"""Layer-wise relevance propagation through a traced program.

A program is first recorded, with the value of every variable. Relevance then runs back through it,
in up to three parts per variable:

- ``whole``, the relevance of a value from which nonlinear functions were computed;
- ``factor``, relevance divided by the value, as it arrives from sums and products. It keeps this
  meaning through nested sums and constant weights, so that a sum of sums gives the shares of one
  layer, and is stabilised once, at the top;
- ``spread``, what biases and the stabiliser took, on its way to be spread evenly over the inputs of
  the layer (``bias_factor``).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from lstm_jax._internal.errors import WrongValue
from lstm_jax.insight.attribution.programs import (
    COPIES,
    LINEAR,
    MOVES,
    SQUASHING,
    SUMS,
    Operation,
    Value,
    gate_rank,
    is_squashed,
)


class Options(NamedTuple):
    """How relevance is propagated; see ``relevance``."""

    rule: str
    epsilon: float
    bias_factor: float


class Share(NamedTuple):
    """The relevance of a value: ``whole + factor * value + spread``. None stands for zero."""

    whole: Any = None
    factor: Any = None
    spread: Any = None

    def plus(self, other: "Share | None") -> "Share":
        """The sum of two shares of one value."""
        return self if other is None else Share(*map(_add, self, other))

    def map(self, function: Callable[..., Any]) -> "Share":
        """``function`` of each part."""
        return Share(*(None if part is None else function(part) for part in self))

    @property
    def is_zero(self) -> bool:
        """Whether no part is there."""
        return self.whole is None and self.factor is None and self.spread is None

    def total(self, value: jax.Array) -> jax.Array:
        """The relevance of ``value``, as one array."""
        product = None if self.factor is None else self.factor * value
        return _or_zeros(_add(_add(self.whole, product), self.spread), value)


def propagate(
    operations: list[Operation],
    wanted: list[tuple[Value, Share]],
    options: Options,
    others: dict[str, Callable[..., Any]] | None = None,
) -> Callable[[Value], Share]:
    """Runs relevance back through recorded operations.

    Args:
        operations: As ``record`` returns them.
        wanted: Values of the program with their relevance.
        options: How.
        others: Rules of further operations by name, ``(operation, shares, options) -> shares of
            the inputs``.

    Returns:
        The function from a value to the share that arrived at it.
    """
    found: dict[int, Share] = {}

    def give(value: Value, share: Share | None) -> None:
        if value.data and share is not None and not share.is_zero:
            found[id(value)] = share.plus(found.get(id(value)))

    for value, share in wanted:
        give(value, share)
    rules = RULES | (others or {})
    for operation in reversed(operations):
        shares = [found.get(id(out)) for out in operation.outputs]
        if all(share is None for share in shares):
            continue
        if operation.name not in rules:
            raise WrongValue(
                f"cell: expected equations that relevance can follow, got {operation.name}, for "
                "which it has no rule"
            )
        for value, share in zip(
            operation.inputs, rules[operation.name](operation, shares, options), strict=True
        ):
            give(value, share)
    return lambda value: found.get(id(value), Share())


def convert(share: Share, value: jax.Array, options: Options) -> Share:
    """``share`` of a sum as a factor: its ``whole`` is divided by the stabilised sum."""
    if share.whole is None:
        return share
    stabiliser = options.epsilon * jnp.where(value >= 0, 1.0, -1.0).astype(value.dtype)
    ratio = share.whole / (value + stabiliser)
    taken = _scale(options.bias_factor, stabiliser * ratio)
    return Share(None, _add(share.factor, ratio), _add(share.spread, taken))


def _add(a: Any, b: Any) -> Any:
    if a is None or b is None:
        return a if b is None else b
    return a + b


def _scale(number: float, array: Any) -> Any:
    return None if number == 0 else number * array


def _or_zeros(part: Any, like: Any) -> Any:
    return jnp.zeros_like(like) if part is None else part


def _pull(
    operation: Operation, parts: list[Any], weights: Callable[..., Any] = lambda x: x
) -> list[Any]:
    """The transpose of a linear operation for one part of its results' relevance, by input.

    ``weights`` is applied to the inputs that are not data.
    """
    places = [i for i, value in enumerate(operation.inputs) if value.data]
    fixed = [v.array if v.data else weights(v.array) for v in operation.inputs]

    def run(*data: Any) -> list[Any]:
        arrays = list(fixed)
        for place, array in zip(places, data, strict=True):
            arrays[place] = array
        return operation.run(*arrays)

    outs, pull = jax.vjp(run, *(operation.inputs[i].array for i in places))
    given = pull(
        [_or_zeros(part, out).astype(out.dtype) for part, out in zip(parts, outs, strict=True)]
    )
    result: list[Any] = [None] * len(fixed)
    for place, part in zip(places, given, strict=True):
        result[place] = part
    return result


def _move(operation: Operation, shares: list[Any], options: Options) -> list[Any]:
    parts: list[Any] = []
    for name in Share._fields:
        part = [None if share is None else getattr(share, name) for share in shares]
        if all(p is None for p in part):
            parts.append([None] * len(operation.inputs))
        else:
            parts.append(_pull(operation, part))
    return [Share(*of_input) for of_input in zip(*parts, strict=True)]


def _copy(operation: Operation, shares: list[Any], options: Options) -> list[Any]:
    return [share.map(lambda part, v=v: part.astype(v.array.dtype)) if share is not None else None
            for share, v in zip(shares, operation.inputs, strict=True)]  # fmt: skip


def _squash(operation: Operation, shares: list[Any], options: Options) -> list[Any]:
    """A nonlinear function of one value hands its relevance on."""
    inputs = [value for value in operation.inputs if value.data]
    if len(inputs) != 1:
        raise WrongValue(
            f"cell: expected functions of one value, got {operation.name} of {len(inputs)}"
        )
    (share,), (out,) = shares, operation.outputs
    whole = Share(share.total(out.array))
    return [_unbroadcast(whole, v) if v.data else None for v in operation.inputs]


def _unbroadcast(share: Share, value: Value) -> Share:
    """``share`` of a broadcast value, summed to the shape of the value."""
    shape = jnp.shape(value.array)

    def fit(part: jax.Array) -> jax.Array:
        lead = part.ndim - len(shape)
        part = jnp.sum(part, axis=tuple(range(lead)))
        axes = tuple(i for i, n in enumerate(shape) if n == 1 and part.shape[i] != 1)
        return jnp.sum(part, axis=axes, keepdims=True)

    return share.map(lambda part: part if part.shape == shape else fit(part))


def _sum(operation: Operation, shares: list[Any], options: Options) -> list[Any]:
    """The epsilon rule: summands share in proportion to their values (Arras et al. 2017, eq. 1)."""
    (share,), (out,) = shares, operation.outputs
    data = [value for value in operation.inputs if value.data]
    if len(data) == 1 and is_squashed(data[0]):
        return _squash(operation, shares, options)
    share = convert(share, out.array, options)
    signs = {"sub": (1.0, -1.0), "neg": (-1.0,)}.get(operation.name, (1.0, 1.0))
    spread = share.spread
    for sign, value in zip(signs, operation.inputs, strict=True):
        if not value.data and share.factor is not None:
            spread = _add(spread, _scale(options.bias_factor, sign * value.array * share.factor))
    part = None if spread is None else spread / len(data)
    return [
        _unbroadcast(Share(None, None if share.factor is None else sign * share.factor, part), v)
        if v.data
        else None
        for sign, v in zip(signs, operation.inputs, strict=True)
    ]


def _layer(operation: Operation, shares: list[Any], options: Options) -> list[Any]:
    """A product with constant weights, or a sum over an axis: one linear layer."""
    if sum(value.data for value in operation.inputs) != 1:
        raise WrongValue(f"cell: expected {operation.name} with constant weights, got two of data")
    (share,), (out,) = shares, operation.outputs
    share = convert(share, out.array, options)
    factors = _pull(operation, [share.factor])
    spreads: list[Any] = [None] * len(factors)
    if share.spread is not None:
        sums = operation.run(*(jnp.ones_like(value.array) for value in operation.inputs))
        spreads = _pull(operation, [share.spread / sums[0]], jnp.ones_like)
    return [Share(None, *parts) for parts in zip(factors, spreads, strict=True)]


def _product(operation: Operation, shares: list[Any], options: Options) -> list[Any]:
    (share,), (out,) = shares, operation.outputs
    one, other = operation.inputs
    if not other.data:
        factor = 1 / other.array if operation.name == "div" else other.array
        return [_unbroadcast(share._replace(factor=_times(share.factor, factor)), one), None]
    if operation.name == "div":  # the divisor weights the dividend
        gate, signal = 1, 0
        weight = 1 / other.array
    elif not one.data:
        return [None, _unbroadcast(share._replace(factor=_times(share.factor, one.array)), other)]
    else:
        ranks = gate_rank(one), gate_rank(other)
        if ranks[0] == ranks[1]:
            what = "two gates" if ranks[0] else "two values neither of which is a gate"
            raise WrongValue(f"cell: expected products of a gate and a signal, got {what}")
        gate, signal = (0, 1) if ranks[0] > ranks[1] else (1, 0)
        weight = operation.inputs[gate].array
    result: list[Any] = [None, None]
    if options.rule == "all" or operation.name == "div":
        result[signal] = share._replace(factor=_times(share.factor, weight))
    else:
        part = _part_of_gate(weight, operation.inputs[signal].array, options)
        whole = Share(share.whole, share.factor).total(out.array)
        result[gate] = Share(whole, None, share.spread).map(lambda given: part * given)
        result[signal] = Share(whole, None, share.spread).map(lambda given: (1 - part) * given)
    return [None if s is None else _unbroadcast(s, v)
            for s, v in zip(result, operation.inputs, strict=True)]  # fmt: skip


def _times(part: Any, number: Any) -> Any:
    return None if part is None else part * number


def _part_of_gate(gate: jax.Array, signal: jax.Array, options: Options) -> Any:
    """The gate's part of the relevance of a product (Arras et al. 2019, section 11.3)."""
    if options.rule == "half":
        return 0.5
    if options.rule == "abs":
        gate, signal = jnp.abs(gate), jnp.abs(signal)
    total = gate + signal
    return gate / (total + options.epsilon * jnp.where(total >= 0, 1.0, -1.0))


RULES: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(MOVES, _move),
    **dict.fromkeys(COPIES, _copy),
    **dict.fromkeys(SQUASHING, _squash),
    **dict.fromkeys(SUMS, _sum),
    **dict.fromkeys(LINEAR, _layer),
    "mul": _product,
    "div": _product,
}

"""Attention over a memory: the mechanisms, by factory or by name.

A memory is an array ``[S, *batch, M]``, such as the outputs of an encoder, or ``[S, M]`` if all
rows share it. ``lj.attentive(cell, memory)`` is a cell that reads a memory at each step.
"""

from collections.abc import Callable
from typing import Any

from lstm_jax._internal import calls, checking
from lstm_jax.attend.content import (
    CoverageState,
    additive,
    concat,
    coverage_loss,
    dot,
    general,
    scaled_dot,
)
from lstm_jax.attend.contract import Attention, Prepared, Stateless, length_mask
from lstm_jax.attend.heads import multi_head
from lstm_jax.attend.history import LocationState, location
from lstm_jax.attend.windows import MonotonicState, local

__all__ = [
    "Attention",
    "CoverageState",
    "LocationState",
    "MonotonicState",
    "Prepared",
    "Stateless",
    "additive",
    "concat",
    "coverage_loss",
    "dot",
    "general",
    "length_mask",
    "local",
    "location",
    "make",
    "multi_head",
    "registry",
    "scaled_dot",
]

registry: dict[str, Callable[..., Attention]] = {
    "additive": additive,
    "coverage": lambda size: additive(size, coverage=True),
    "concat": concat,
    "dot": lambda size: dot(),
    "scaled_dot": scaled_dot,
    "general": lambda size: general(),
    "location": location,
    "multi_head": lambda size, heads=1: multi_head(size, heads),
}


def make(name: str, size: int, **options: Any) -> Attention:
    """Builds a mechanism by name.

    Args:
        name: A key of ``registry``.
        size: The size of the mechanism's layer, if it has one.
        **options: Further options for its factory.

    Raises:
        ValueError: For an unknown name.
        TypeError: For an option that the mechanism does not have.
    """
    factory = registry[checking.choice("name", name, registry)]
    return calls.call(name, factory, checking.positive_int("size", size), **options)

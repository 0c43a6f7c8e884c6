"""Attention over a memory: mechanisms, by factory or by name.

A memory is an array ``[S, *batch, M]``, such as the outputs of an encoder, or ``[S, M]`` for all
rows alike. ``lj.attentive(cell, memory)`` is a cell that reads one at each step; here are the
mechanisms by themselves.
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
    """The mechanism ``name`` with a layer of ``size``, where it has one; options go to its factory.

    Raises ValueError for an unknown name, TypeError for an option that the mechanism has not.
    """
    factory = registry[checking.choice("name", name, registry)]
    return calls.call(name, factory, checking.positive_int("size", size), **options)

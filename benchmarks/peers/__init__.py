"""The contenders, a file each. A file that cannot be imported is a column left empty.

A JAX contender's file has ``model(cell, layers)``, which gives a ``Model``; ``PACKAGE``, whose
version is noted; and ``CONVENTIONS``, the variant of each cell that it computes. PyTorch's file
has its own ``build``; see ``pytorch.py``.
"""

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

from benchmarks.harness.work import Layer
from experiments.harness.run import versions
from lstm_jax._internal.errors import WrongValue

OURS = "lstm_jax"
OURS_BEFORE = "lstm_jax_before"
TORCH = "torch"
CUDNN = "cudnn"

# Ours first: it is the reference of every comparison. The titles are the columns of the tables.
MODULES = {
    OURS: "ours",
    OURS_BEFORE: "ours_before",
    "flax": "flax_nnx",
    "haiku": "haiku_core",
    "equinox": "equinox_cell",
    "keras": "keras_layer",
    TORCH: "pytorch",
    CUDNN: "cudnn_lstm",
}
TITLES = {
    OURS: "lstm_jax",
    OURS_BEFORE: "lstm_jax, reset before",
    "flax": "Flax NNX",
    "haiku": "Haiku",
    "equinox": "Equinox",
    "keras": "Keras on JAX",
    TORCH: "PyTorch",
    CUDNN: "cuDNN by JAX",
}
# CUDNN is for GPUs, and compared in benchmarks.gpu alone.
PEERS = tuple(name for name in MODULES if name not in (OURS, OURS_BEFORE, CUDNN))


class Model(NamedTuple):
    """A JAX contender with its weights.

    params: a pytree; what its own training loop would differentiate.
    run: ``run(params, xs) -> ys``, from a zero state, in its own layout.
    to_layers: a pytree like params (gradients) as layers in lstm_jax's names and gate order.
    time_axis: 0 for ``[T, B, D]``, 1 for ``[B, T, D]``: the layout in which it gets its arrays.
    step: ``step(params, state, x) -> (state, y)`` of the first layer, at batch 1.
    state: zeros, for ``step``.
    data_parallel: its own way to spread a batch over devices; None for that of ``devices.py``.
    """

    params: Any
    run: Callable[[Any, Any], Any]
    to_layers: Callable[[Any], list[Layer]]
    time_axis: int
    step: Callable[[Any, Any, Any], tuple[Any, Any]]
    state: Any
    data_parallel: Callable[..., Any] | None = None


class Missing(Exception):
    """A peer that is not installed, or not for this JAX."""


def load(name: str) -> ModuleType:
    """The contender's file. Raises Missing where its package cannot be imported."""
    if name not in MODULES:
        raise WrongValue(f"peers: expected {', '.join(PEERS)}, got {name!r}")
    try:
        return importlib.import_module(f"benchmarks.peers.{MODULES[name]}")
    except (ImportError, AttributeError) as error:  # or made for another JAX
        raise Missing(f"{TITLES[name]} cannot be imported ({error})") from error


def available(peers: tuple[str, ...]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Those of ``peers`` that are here, and for each of the others the reason why not."""
    here, absent = [], {}
    for name in peers:
        try:
            load(name)
            here.append(name)
        except Missing as error:
            absent[name] = str(error)
    return tuple(here), absent


def base(name: str, cell: str) -> str:
    """Ours in the convention of the contender ``name``: equal numbers, and the ratio's base."""
    return OURS if load(name).CONVENTIONS[cell] == "default" else OURS_BEFORE


def entrants(peers: tuple[str, ...], cell: str) -> tuple[str, ...]:
    """Ours, in each convention that ``peers`` call for, and ``peers``."""
    ours = dict.fromkeys([OURS, *(base(name, cell) for name in peers)])
    return (*ours, *peers)


def version(name: str) -> str | None:
    """Of the contender's package; None where it is there and not installed."""
    return versions.package_version(load(name).PACKAGE)

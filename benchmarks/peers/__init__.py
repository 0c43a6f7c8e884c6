"""The contenders, one file each. If a file cannot be imported, its column is empty.

The file of a JAX contender has ``model(cell, layers)``, which returns a ``Model``; ``PACKAGE``,
whose version is noted; and ``CONVENTIONS``, the variant of each cell that it computes. PyTorch's
file has its own class; see ``pytorch.py``.
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
STREAMS = {OURS: "lstm_jax_stream", OURS_BEFORE: "lstm_jax_before_stream"}  # of ``lj.stream``
TORCH = "torch"
CUDNN = "cudnn"

# Ours first, since it is the reference. The titles are the columns of the tables.
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
    STREAMS[OURS]: "lj.stream",
    STREAMS[OURS_BEFORE]: "lj.stream, reset before",
    "flax": "Flax NNX",
    "haiku": "Haiku",
    "equinox": "Equinox",
    "keras": "Keras on JAX",
    TORCH: "PyTorch",
    CUDNN: "cuDNN by JAX",
}
# CUDNN is for GPUs, and only compared in benchmarks.gpu.
PEERS = tuple(name for name in MODULES if name not in (OURS, OURS_BEFORE, CUDNN))


class Model(NamedTuple):
    """A JAX contender with its weights.

    params: a pytree; what its own training loop would differentiate.
    run: ``run(params, xs) -> ys``, from a zero state, in its own layout.
    to_layers: converts a pytree like params, such as gradients, to layers with lstm_jax's names
        and gate order.
    time_axis: the layout of its arrays: 0 for ``[T, B, D]``, 1 for ``[B, T, D]``.
    step: ``step(params, state, x) -> (state, y)`` of the first layer, at batch 1.
    state: the zero state for ``step``.
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
    """A peer that is not installed, or does not work with this JAX."""


def load(name: str) -> ModuleType:
    """Imports the contender's file. Raises Missing if its package cannot be imported."""
    if name not in MODULES:
        raise WrongValue(f"peers: expected {', '.join(PEERS)}, got {name!r}")
    try:
        return importlib.import_module(f"benchmarks.peers.{MODULES[name]}")
    except (ImportError, AttributeError) as error:  # or incompatible with this JAX
        raise Missing(f"{TITLES[name]} cannot be imported ({error})") from error


def available(peers: tuple[str, ...]) -> tuple[tuple[str, ...], dict[str, str]]:
    """The ``peers`` that are installed, and for each other one the reason why it is missing."""
    installed, absent = [], {}
    for name in peers:
        try:
            load(name)
            installed.append(name)
        except Missing as error:
            absent[name] = str(error)
    return tuple(installed), absent


def counterpart(name: str, cell: str) -> str:
    """Which of ours computes the same as the contender ``name``: the base of its ratio."""
    return OURS if load(name).CONVENTIONS[cell] == "default" else OURS_BEFORE


def contenders(peers: tuple[str, ...], cell: str) -> tuple[str, ...]:
    """Ours, in each convention that ``peers`` have, followed by ``peers``."""
    ours = dict.fromkeys([OURS, *(counterpart(name, cell) for name in peers)])
    return (*ours, *peers)


def version(name: str) -> str | None:
    """The version of the contender's package; None if it can be imported but is not installed."""
    return versions.package_version(load(name).PACKAGE)

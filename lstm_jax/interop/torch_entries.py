"""The entries of a state dict of PyTorch, as the layers of a network."""

import re
from collections.abc import Mapping
from typing import Any

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.core.cell import Cell
from lstm_jax.interop.network import Dropout, Level, Part, build
from lstm_jax.interop.parts import read_part
from lstm_jax.interop.table import TABLE

PYTORCH = "PyTorch"
NAMES = tuple(dict.fromkeys(n for row in TABLE[PYTORCH].values() for n in row.names))
ENTRY = re.compile(rf"({'|'.join(NAMES)})(?:_l(0|[1-9][0-9]*)(_reverse)?)?")
GATES = {4: "nn.LSTM", 3: "nn.GRU", 1: "nn.RNN"}


def from_arrays(
    arrays: Mapping[str, Any], kind: str | None, nonlinearity: str | None, rate: float
) -> tuple[Cell, Any]:
    """A cell with the weights of a state dict.

    Args:
        arrays: The entries by name.
        kind: "nn.LSTM", "nn.GRU" or "nn.RNN"; if None, the shapes say it.
        nonlinearity: That of an nn.RNN.
        rate: The dropout between layers.
    """
    rate = checking.rate("dropout", rate)
    by_part, suffixes = _by_part(arrays)
    layers = 1 + max(layer for layer, _ in by_part)
    if rate and layers == 1:
        raise WrongValue(
            f"dropout: expected 0 for one layer, since it is between layers, got {rate}"
        )
    directions = (False, True) if (0, True) in by_part else (False,)
    kinds = {at: kind or _infer_kind(part, suffixes[at]) for at, part in by_part.items()}
    kind = kinds[0, False]
    options = {}
    if kind == "nn.RNN":
        if nonlinearity not in ("tanh", "relu"):
            raise WrongValue(
                "nonlinearity: expected 'tanh' or 'relu' for an nn.RNN, whose state dict does not "
                f"hold it, got {nonlinearity!r}"
            )
        options = {"activation": nonlinearity}
    elif nonlinearity is not None:
        raise WrongValue(f"nonlinearity: expected None for an {kind}, got {nonlinearity!r}")
    parts: dict[tuple[int, bool], Part] = {}
    for at, entries in sorted(by_part.items()):
        if kinds[at] != kind:
            raise WrongValue(
                f"module: expected layers of one kind, got the rows of an {kind} in weight_hh_l0 "
                f"and of an {kinds[at]} in weight_hh{suffixes[at]}"
            )
        part = read_part(PYTORCH, kind, entries, options, argument="module", suffix=suffixes[at])
        first = parts.setdefault((0, False), part)
        if (part.size, part.output_size) != (first.size, first.output_size):
            raise WrongValue(
                f"module['weight_hh{suffixes[at]}']: expected {first.size} hidden units and "
                f"{first.output_size} outputs, as in the first layer, got {part.size} and "
                f"{part.output_size}"
            )
        parts[at] = part
    found = []
    for i in range(layers):
        dropouts = (Dropout(rate),) if rate and i else ()
        found.append(Level(tuple(parts[i, reverse] for reverse in directions), dropouts=dropouts))
    return build(found, "module")


def _by_part(
    arrays: Mapping[str, Any],
) -> tuple[dict[tuple[int, bool], dict[str, Any]], dict[tuple[int, bool], str]]:
    """The entries of a state dict by layer and direction, and what ends their names.

    All layers and directions of a module have the same entries, so one that only some have is
    missing in the others.
    """
    by_part: dict[tuple[int, bool], dict[str, Any]] = {}
    suffixes: dict[tuple[int, bool], str] = {}
    for name, array in arrays.items():
        match = ENTRY.fullmatch(name)
        if match is None:
            raise WrongValue(
                f"module: expected the entries of one recurrent module, such as weight_ih_l0, "
                f"got {name!r}; give the start of their names as prefix"
            )
        entry, layer, reverse = match.groups()
        at = (int(layer or 0), bool(reverse))
        by_part.setdefault(at, {})[entry] = array
        suffixes[at] = name.removeprefix(entry)
    with_layer = {"_l" in name: name for name in arrays}
    if len(with_layer) == 2:
        raise WrongValue(
            "module: expected the entries of one recurrent module, all with their layers or none, "
            f"got {with_layer[False]!r} beside {with_layer[True]!r}"
        )
    layers = 1 + max((layer for layer, _ in by_part), default=-1)
    directions = (False, True) if (0, True) in by_part else (False,)
    wanted = {(i, reverse) for i in range(layers) for reverse in directions}
    if not by_part or set(by_part) != wanted:
        got = ", ".join(sorted(arrays)) or "none"
        raise WrongValue(
            "module: expected the entries of one recurrent module, with all layers and "
            f"directions, got {got}"
        )
    for entry in NAMES:
        having = [at for at, part in by_part.items() if entry in part]
        lacking = [at for at in sorted(by_part) if at not in having]
        if having and lacking:
            raise WrongValue(
                f"module: expected an entry {entry + suffixes[lacking[0]]!r} beside "
                f"{entry + suffixes[having[0]]!r}, since all layers and directions have the same, "
                "got none"
            )
    return by_part, suffixes


def _infer_kind(part: Mapping[str, Any], suffix: str) -> str:
    try:
        source = part["weight_hr"].shape[1] if "weight_hr" in part else part["weight_hh"].shape[1]
        rows = part["weight_hh"].shape[0]
        return GATES[rows // source if rows % source == 0 else -1]
    except (KeyError, IndexError, AttributeError, ZeroDivisionError):
        shapes = {name + suffix: tuple(getattr(array, "shape", ())) for name, array in part.items()}
        raise WrongValue(
            f"module: expected weight_hh{suffix} with 4, 3 or 1 times as many rows as the hidden "
            f"size, got shapes {shapes}"
        ) from None

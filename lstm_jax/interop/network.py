"""Cells of this library taken apart into layers, and put together again.

A network is a list of levels. A level is one cell, or two that run in both directions.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax

from lstm_jax._internal import cell_checks
from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax.cells.gru import gru
from lstm_jax.cells.lstm import lstm
from lstm_jax.cells.rnn import irnn, rnn
from lstm_jax.core.cell import Cell
from lstm_jax.interop.arrays import as_arrays
from lstm_jax.wrappers.layers import bidirectional, chain
from lstm_jax.wrappers.noise import dropout
from lstm_jax.wrappers.weights import initialize


class Kind(NamedTuple):
    """One of our cells, as the table knows it.

    Attributes:
        factory: What makes it.
        preset: The options that make it this kind.
        initial: The options that only say how weights start, and are not converted.
        bias_apart: The gates whose recurrent bias is an entry of its own, ``b_h``.
        text: What errors call it.
    """

    factory: Callable[..., Cell]
    text: str
    preset: Mapping[str, Any] = {}
    initial: tuple[str, ...] = ()
    bias_apart: tuple[str, ...] = ()


KINDS = {
    "lstm": Kind(lstm, "lj.lstm", initial=("forget_bias",)),
    "gru": Kind(gru, "lj.gru", {"reset_after": True}, bias_apart=("candidate",)),
    "gru_reset_before": Kind(gru, "lj.gru(reset_after=False)", {"reset_after": False}),
    "rnn": Kind(rnn, "lj.rnn"),
}


class Dropout(NamedTuple):
    """The arguments of ``lj.dropout``."""

    rate: float
    on: str = "input"
    variational: bool = False


class Part(NamedTuple):
    """A cell and its params.

    Attributes:
        kind: A key of ``KINDS``.
        size: Its number of hidden units.
        options: Those that differ from the defaults.
        params: Ours.
        dropouts: Around this part alone.
        entry: What errors call its input weights, if it was read from a framework.
    """

    kind: str
    size: int
    options: dict[str, Any]
    params: dict[str, Any]
    dropouts: tuple[Dropout, ...] = ()
    entry: str = ""

    @property
    def input_size(self) -> int:
        return self.params["w_x"].shape[0]

    @property
    def output_size(self) -> int:
        return self.options.get("projection", self.size)


class Level(NamedTuple):
    """One part, or a forward and a backward one; dropout around a single part is the level's."""

    parts: tuple[Part, ...]
    merge: str = "concat"
    dropouts: tuple[Dropout, ...] = ()


def levels(cell: Cell, params: Any, framework: str) -> list[Level]:
    """Takes a network apart.

    Args:
        cell: Ours.
        params: Its params.
        framework: The name of the target, for errors.

    Raises:
        ValueError, TypeError: For a cell that no framework has, and for params of another cell.
    """
    cell_checks.cell("cell", cell)
    cell_checks.params(cell, params, "params", cell_checks.input_size_of(cell, params))
    leaves = jax.tree_util.tree_leaves_with_path(params)
    by_path = {jax.tree_util.keystr(path): leaf for path, leaf in leaves}
    as_arrays("params", by_path, lambda path: f"params{path}")
    return _levels(cell, params, framework)


def _levels(cell: Cell, params: Any, framework: str) -> list[Level]:
    recipe = cell.recipe
    factory = None if recipe is None else recipe.factory
    args: Any = () if recipe is None else recipe.args
    options = {} if recipe is None else recipe.kwargs
    if factory is chain:
        pairs = zip(args, params, strict=True)
        return [level for c, p in pairs for level in _levels(c, p, framework)]
    if factory is initialize:
        return _levels(args[0], params, framework)
    if factory is dropout:
        (level,) = _only_level("dropout", _levels(args[0], params, framework), framework)
        return [level._replace(dropouts=(*level.dropouts, Dropout(args[1], **options)))]
    if factory is bidirectional:
        parts = []
        for one, name in zip(args, ("forward", "backward"), strict=True):
            (level,) = _only_level(
                "bidirectional", _levels(one, params[name], framework), framework
            )
            if len(level.parts) > 1:
                raise WrongValue(
                    f"bidirectional: expected cells of one direction in it, got {one.name}"
                )
            parts.append(level.parts[0]._replace(dropouts=level.dropouts))
        return [Level(tuple(parts), options["merge"])]
    if factory is irnn:
        factory, options = rnn, {"activation": "relu"}
    for kind, ours in KINDS.items():
        same = all(options.get(name) == value for name, value in ours.preset.items())
        if factory is ours.factory and same:
            return [Level((Part(kind, args[0], _changed(kind, options), params),))]
    raise WrongValue(
        "cell: expected lj.lstm, lj.gru, lj.rnn and lj.irnn, alone or in lj.chain, "
        f"lj.bidirectional, lj.dropout and lj.initialize, got {cell.name}, "
        f"which {framework} does not have; convert the cells inside it one by one"
    )


def _only_level(option: str, found: list[Level], framework: str) -> list[Level]:
    if len(found) != 1:
        raise WrongValue(
            f"{option}: expected a single layer in it for {framework}, got a chain of "
            f"{len(found)}; put {option} around each layer"
        )
    return found


def _changed(kind: str, options: Mapping[str, Any]) -> dict[str, Any]:
    defaults = default_options(kind)
    return {
        name: value
        for name, value in options.items()
        if name in defaults and value != defaults[name]
    }


@functools.cache
def default_options(kind: str) -> dict[str, Any]:
    """The options of a kind that are converted, at their defaults."""
    ours = KINDS[kind]
    recipe = ours.factory(1).recipe
    assert recipe is not None
    left_out = (*ours.preset, *ours.initial)
    return {name: value for name, value in recipe.kwargs.items() if name not in left_out}


def build(found: list[Level], argument: str) -> tuple[Cell, Any]:
    """Puts a network together: one level stays alone, several become a chain.

    Args:
        found: The levels, in their order.
        argument: What they were read from, for errors.

    Raises:
        ValueError: If there is no level, or if they do not fit each other.
    """
    if not found:
        raise WrongValue(f"{argument}: expected at least one layer, got none")
    pairs = [_build_level(level) for level in found]
    wanted, whose = found[0].parts[0].input_size, "as in the other direction"
    dtype = found[0].parts[0].params["w_x"].dtype
    for i, (level, (cell, _)) in enumerate(zip(found, pairs, strict=True)):
        for part in level.parts:
            if part.input_size != wanted:
                raise WrongValue(
                    f"{part.entry}: expected weights for {wanted} inputs, {whose}, got weights "
                    f"for {part.input_size}"
                )
            if part.params["w_x"].dtype != dtype:
                raise WrongValue(
                    f"{part.entry}: expected {dtype.name}, the dtype of the other weights, got "
                    f"{part.params['w_x'].dtype.name}; cast them first"
                )
        wanted, whose = cell.size, f"the size of layer {i}'s outputs"
    if len(pairs) == 1:
        return pairs[0]
    return chain(*(cell for cell, _ in pairs)), tuple(params for _, params in pairs)


def _build_level(level: Level) -> tuple[Cell, Any]:
    cells = [_with_dropout(cell_of(part), part.dropouts) for part in level.parts]
    if len(cells) == 1:
        return _with_dropout(cells[0], level.dropouts), level.parts[0].params
    both = bidirectional(*cells, merge=level.merge)
    forward, backward = level.parts
    params = {"forward": forward.params, "backward": backward.params}
    return _with_dropout(both, level.dropouts), params


def cell_of(part: Part) -> Cell:
    """The cell of a part, without dropout."""
    kind = KINDS[part.kind]
    return kind.factory(part.size, **kind.preset, **part.options)


def _with_dropout(cell: Cell, dropouts: tuple[Dropout, ...]) -> Cell:
    for one in dropouts:
        cell = dropout(cell, one.rate, on=one.on, variational=one.variational)
    return cell


def single(found: list[Level], argument: str, framework: str) -> Part:
    """The only part of a network.

    Args:
        found: The network.
        argument: The option that asks for a single cell.
        framework: The name of the target, for errors.
    """
    if len(found) != 1 or len(found[0].parts) != 1:
        raise WrongValue(
            f"{argument}: expected False for a network of several layers or two directions, "
            f"since a cell of {framework} has one of each, got True"
        )
    return found[0].parts[0]


def direction(found: list[Level], argument: str) -> Part:
    """The only part of one direction of a framework's bidirectional layer."""
    if len(found) != 1 or len(found[0].parts) != 1:
        got = f"{len(found)} layers" if len(found) != 1 else "another bidirectional layer"
        raise WrongValue(
            f"{argument}: expected a single cell in each direction, got {got}; stack several "
            "bidirectional layers"
        )
    return found[0].parts[0]._replace(dropouts=found[0].dropouts)


def no_dropout(found: list[Level], framework: str, instead: str) -> None:
    """Refuses dropout for a framework whose recurrent layers have none."""
    for level in found:
        for one in (*level.dropouts, *(d for part in level.parts for d in part.dropouts)):
            raise WrongValue(
                f"dropout: expected cells without lj.dropout, since the recurrent layers of "
                f"{framework} have none, got rate {one.rate}; convert the cells without it, and "
                f"{instead}"
            )


def refuse(argument: str, value: Any, expected: str) -> WrongType:
    """The error for a module of a kind that cannot be converted."""
    return WrongType(f"{argument}: expected {expected}, got {type(value).__name__}")

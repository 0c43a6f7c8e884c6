"""Weights from and to Flax Linen."""

import operator
from typing import Any

import jax.numpy as jnp

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.core.cell import Cell
from lstm_jax.interop import flax_options
from lstm_jax.interop.arrays import flat, named, nested
from lstm_jax.interop.network import (
    Level,
    Part,
    build,
    direction,
    levels,
    no_dropout,
    refuse,
    single,
)
from lstm_jax.interop.parts import read_part, write_part
from lstm_jax.interop.table import TABLE

LINEN = "Flax Linen"
EXPECTED = (
    "an OptimizedLSTMCell, LSTMCell, GRUCell or SimpleCell of Flax Linen, alone or in nn.RNN, "
    "nn.Bidirectional or nn.Sequential"
)


def from_linen(module: Any, variables: Any) -> tuple[Cell, Any]:
    """A cell with the weights of a Flax Linen module.

        cell, params = lj.interop.from_linen(module, variables)

    ``nn.Sequential`` becomes ``lj.chain`` and ``nn.Bidirectional`` becomes ``lj.bidirectional``.
    ``time_major`` is a layout of data and not of weights: the cell takes ``[T, B, D]`` in any case.

    Args:
        module: An ``OptimizedLSTMCell``, ``LSTMCell``, ``GRUCell`` or ``SimpleCell`` of
            ``flax.linen``, alone, in ``nn.RNN``, in ``nn.Bidirectional``, or in an
            ``nn.Sequential`` of these.
        variables: What its ``init`` gives, ``{"params": ...}``.

    Returns:
        ``(cell, params)``, in the dtype of the weights. Linen keeps the state of an LSTM as
        ``(c, h)``, we as ``LSTMState(h, c)``.

    Raises:
        ValueError, TypeError: For a module of another kind, and for an option that no cell has; the
            error names the option.
    """
    return build(_levels(module, *_entry("variables", variables, "params")), "module")


def _levels(module: Any, argument: str, params: Any) -> list[Level]:
    from flax import linen
    from flax.linen.recurrent import _concatenate

    if type(module) is linen.Sequential:
        inside = [
            _levels(one, *_entry(argument, params, f"layers_{i}"))
            for i, one in enumerate(module.layers)
        ]
        return [level for found in inside for level in found]
    if type(module) is linen.Bidirectional:
        if module.forward_rnn is module.backward_rnn:
            raise WrongValue(
                "backward_rnn: expected another module than forward_rnn, got the same, with one "
                "set of weights for both directions"
            )
        parts = []
        for name in ("forward_rnn", "backward_rnn"):
            found = _levels(getattr(module, name), *_entry(argument, params, name))
            parts.append(direction(found, f"module.{name}"))
        return [Level(tuple(parts), flax_options.merge_of(module.merge_fn, _concatenate))]
    if type(module) is linen.RNN:
        flax_options.check_direction(module)
        return _levels(module.cell, *_entry(argument, params, "cell"))
    for name, layout in TABLE[LINEN].items():
        if type(module) is getattr(linen, name):
            arrays = flat(argument, params)
            if set(arrays) != set(layout.names):
                raise WrongValue(
                    f"{argument}: expected {', '.join(sorted(layout.names))} for {name}, got "
                    f"{', '.join(sorted(arrays)) or 'none'}"
                )
            flax_options.check_dtype(module, next(iter(arrays.values())))
            options = flax_options.cell_options(module, layout.kind)
            return [Level((read_part(LINEN, name, arrays, options, argument=argument),))]
    raise refuse("module", module, EXPECTED)


def _entry(argument: str, tree: Any, name: str) -> tuple[str, Any]:
    """The entry of a name in a dict, after what errors call it."""
    if name not in named(argument, tree):
        got = ", ".join(map(repr, tree)) or "none"
        raise WrongValue(f"{argument}: expected a dict with the entry {name!r}, got {got}")
    return f"{argument}[{name!r}]", tree[name]


def to_linen(
    cell: Cell, params: Any, *, time_major: bool = True, single_step: bool = False
) -> tuple[Any, Any]:
    """A Flax Linen module and variables with the weights of a cell.

        module, variables = lj.interop.to_linen(cell, params)
        ys = module.apply(variables, xs)

    Args:
        cell: ``lj.lstm``, ``lj.gru``, ``lj.rnn`` or ``lj.irnn``, alone or in ``lj.chain`` and
            ``lj.bidirectional``.
        params: Its params.
        time_major: Whether the module takes ``[T, B, D]``, as ``lj.unroll`` does.
        single_step: Whether the module is the cell itself, for one step at a time.

    Returns:
        ``(module, variables)``: an ``nn.RNN`` of an ``OptimizedLSTMCell``, ``GRUCell`` or
        ``SimpleCell``, or an ``nn.Bidirectional``; for a chain, an ``nn.Sequential``.

    Raises:
        ValueError, TypeError: For a cell that Linen does not have; the error names the option.
    """
    from flax import linen

    checking.flag("time_major", time_major)
    found = levels(cell, params, LINEN)
    no_dropout(found, LINEN, "put nn.Dropout between the layers")
    if checking.flag("single_step", single_step):
        made, tree = _cell(single(found, "single_step", LINEN))
        return made, {"params": tree}
    modules: list[Any] = []
    trees: list[Any] = []
    for level in found:
        cells, inner = zip(*map(_cell, level.parts), strict=True)
        rnns: list[Any] = [linen.RNN(one, time_major=time_major) for one in cells]
        if len(rnns) == 1:
            modules += rnns
            trees.append({"cell": inner[0]})
        else:
            options: Any = {} if level.merge == "concat" else {"merge_fn": operator.add}
            modules.append(linen.Bidirectional(rnns[0], rnns[1], time_major=time_major, **options))
            trees.append({"forward_rnn": {"cell": inner[0]}, "backward_rnn": {"cell": inner[1]}})
    if len(modules) == 1:
        return modules[0], {"params": trees[0]}
    tree = {f"layers_{i}": tree for i, tree in enumerate(trees)}
    return linen.Sequential(modules), {"params": tree}


def _cell(part: Part) -> tuple[Any, Any]:
    from flax import linen

    name, arrays = write_part(LINEN, part)
    dtype = next(iter(arrays.values())).dtype
    made = getattr(linen, name)(part.size, param_dtype=dtype, **flax_options.flax_functions(part))
    return made, nested({path: jnp.asarray(array) for path, array in arrays.items()})

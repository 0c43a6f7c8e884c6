"""Weights from and to Flax NNX."""

import keyword
import operator
from typing import Any

import jax.numpy as jnp

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.core.cell import Cell
from lstm_jax.interop import flax_options
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

NNX = "Flax NNX"
EXPECTED = (
    "an OptimizedLSTMCell, LSTMCell, GRUCell or SimpleCell of Flax NNX, alone or in nnx.RNN, "
    "nnx.Bidirectional or nnx.Sequential"
)


def from_nnx(module: Any) -> tuple[Cell, Any]:
    """A cell with the weights of a Flax NNX module.

        cell, params = lj.interop.from_nnx(nnx.LSTMCell(3, 8, rngs=nnx.Rngs(0)))

    ``nnx.Sequential`` becomes ``lj.chain`` and ``nnx.Bidirectional`` becomes ``lj.bidirectional``.
    ``time_major`` is a layout of data and not of weights: the cell takes ``[T, B, D]`` in any case.

    Args:
        module: An ``nnx.OptimizedLSTMCell``, ``LSTMCell``, ``GRUCell`` or ``SimpleCell``, alone, in
            ``nnx.RNN``, in ``nnx.Bidirectional``, or in an ``nnx.Sequential`` of these.

    Returns:
        ``(cell, params)``, in the dtype of the weights. NNX keeps the state of an LSTM as
        ``(c, h)``, we as ``LSTMState(h, c)``.

    Raises:
        ValueError, TypeError: For a module of another kind, and for an option that no cell has; the
            error names the option.
    """
    return build(_levels(module, "module"), "module")


def _levels(module: Any, argument: str) -> list[Level]:
    from flax import nnx
    from flax.nnx.nn.recurrent import _concatenate

    if type(module) is nnx.Sequential:
        inside = [_levels(one, f"{argument}.layers[{i}]") for i, one in enumerate(module.layers)]
        return [level for found in inside for level in found]
    if type(module) is nnx.Bidirectional:
        if module.forward_rnn is module.backward_rnn:
            raise WrongValue(
                "backward_rnn: expected another module than forward_rnn, got the same, with one "
                "set of weights for both directions"
            )
        places = {name: f"{argument}.{name}" for name in ("forward_rnn", "backward_rnn")}
        parts = (direction(_levels(getattr(module, n), at), at) for n, at in places.items())
        return [Level(tuple(parts), flax_options.merge_of(module.merge_fn, _concatenate))]
    if type(module) is nnx.RNN:
        flax_options.check_direction(module)
        return _levels(module.cell, f"{argument}.cell")
    for name, layout in TABLE[NNX].items():
        if type(module) is getattr(nnx, name):
            _check_inside(module, layout.names, argument)
            arrays = {path: _variable(module, path)[...] for path in layout.names}
            flax_options.check_dtype(module, next(iter(arrays.values())))
            options = flax_options.cell_options(module, layout.kind)
            return [Level((read_part(NNX, name, arrays, options, argument=argument),))]
    raise refuse(argument, module, EXPECTED)


def _check_inside(cell: Any, paths: tuple[str, ...], argument: str) -> None:
    """Refuses a cell whose dense layers are not those that Flax gave it."""
    from flax import nnx
    from flax.nnx.nn.dtypes import promote_dtype

    if getattr(cell, "promote_dtype", promote_dtype) is not promote_dtype:
        raise WrongValue(f"promote_dtype: expected Flax's own, got {cell.promote_dtype!r}")
    for path in paths:
        layer = _layer(cell, path)
        if type(layer) is not nnx.Linear:
            place = f"{argument}.{path.partition('/')[0]}"
            raise refuse(place, layer, "an nnx.Linear, as Flax made it")


def _layer(cell: Any, path: str) -> Any:
    """The layer of "layer/weight"; one whose name is a word of Python has "_" after it."""
    layer = path.partition("/")[0]
    return getattr(cell, layer + "_" * keyword.iskeyword(layer))


def _variable(cell: Any, path: str) -> Any:
    """The variable at "layer/weight"."""
    return getattr(_layer(cell, path), path.partition("/")[2])


def to_nnx(cell: Cell, params: Any, *, time_major: bool = True, single_step: bool = False) -> Any:
    """A Flax NNX module with the weights of a cell.

        module = lj.interop.to_nnx(cell, params)

    Args:
        cell: ``lj.lstm``, ``lj.gru``, ``lj.rnn`` or ``lj.irnn``, alone or in ``lj.chain`` and
            ``lj.bidirectional``. NNX's GRU has no recurrent candidate bias, so ``b_h`` of
            ``lj.gru`` must be zero.
        params: Its params.
        time_major: Whether the module takes ``[T, B, D]``, as ``lj.unroll`` does.
        single_step: Whether the result is the cell itself, for one step at a time.

    Returns:
        An ``nnx.RNN`` of an ``OptimizedLSTMCell``, ``GRUCell`` or ``SimpleCell``, or an
        ``nnx.Bidirectional``; for a chain, an ``nnx.Sequential``.

    Raises:
        ValueError, TypeError: For a cell that NNX does not have; the error names the option.
    """
    from flax import nnx

    checking.flag("time_major", time_major)
    found = levels(cell, params, NNX)
    no_dropout(found, NNX, "put nnx.Dropout between the layers")
    if checking.flag("single_step", single_step):
        return _cell(single(found, "single_step", NNX))
    made: list[Any] = []
    for level in found:
        rnns = [nnx.RNN(_cell(part), time_major=time_major) for part in level.parts]
        if len(rnns) == 1:
            made += rnns
        else:
            options: Any = {} if level.merge == "concat" else {"merge_fn": operator.add}
            made.append(nnx.Bidirectional(*rnns, time_major=time_major, **options))
    return made[0] if len(made) == 1 else nnx.Sequential(*made)


def _cell(part: Part) -> Any:
    from flax import nnx

    name, arrays = write_part(NNX, part)
    dtype = next(iter(arrays.values())).dtype
    made = getattr(nnx, name)(
        part.input_size,
        part.size,
        dtype=dtype,
        param_dtype=dtype,
        rngs=nnx.Rngs(0),
        **flax_options.flax_functions(part),
    )
    for path, array in arrays.items():
        _variable(made, path).set_value(jnp.asarray(array))
    return made

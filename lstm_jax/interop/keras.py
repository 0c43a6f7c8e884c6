"""Weights from and to Keras 3, on any of its backends."""

from collections.abc import Callable
from typing import Any

import numpy as np

from lstm_jax._internal.errors import WrongValue
from lstm_jax.core.cell import Cell
from lstm_jax.interop.activations import activation_name
from lstm_jax.interop.keras_options import (
    NAMES,
    activation_options,
    dropout_options,
    dropouts_of,
    use_jax_activations,
)
from lstm_jax.interop.network import (
    Level,
    Part,
    build,
    direction,
    levels,
    refuse,
)
from lstm_jax.interop.parts import read_part, write_part
from lstm_jax.interop.table import TABLE

KERAS = "Keras"
EXPECTED = (
    "an LSTM, GRU or SimpleRNN of Keras, or a cell of them, alone or in RNN, StackedRNNCells, "
    "Bidirectional or Sequential"
)


def from_keras(layer: Any) -> tuple[Cell, Any]:
    """A cell with the weights of a Keras layer.

        cell, params = lj.interop.from_keras(keras_layer)

    ``Sequential`` and ``StackedRNNCells`` become ``lj.chain``, ``Bidirectional`` becomes
    ``lj.bidirectional``, ``dropout`` becomes ``lj.dropout`` with one mask per sequence, as in
    Keras. ``reset_after`` is that of ``lj.gru``. Of the two biases of a GRU with ``reset_after``,
    those of the reset and update gates are summed. What ``return_sequences``, ``return_state`` and
    ``stateful`` choose from, ``lj.unroll`` returns in any case. Regularizers and constraints are
    no part of a cell and are left out.

    Without ``return_sequences``, a ``Bidirectional`` gives the last state of each direction, and
    that of the backward one stands at time 0. It is in the state that ``lj.unroll`` returns, and
    not in ``ys[-1]``.

    Args:
        layer: A built ``LSTM``, ``GRU`` or ``SimpleRNN``, a cell of them, an ``RNN`` of cells, a
            ``Bidirectional``, or a ``Sequential`` of these.

    Returns:
        ``(cell, params)``, in the dtype of the weights. The cell takes ``[T, B, D]``.

    Raises:
        ValueError, TypeError: For a layer of another kind, and for an option that no cell has; the
            error names the option.
    """
    try:
        import keras
    except ImportError:
        raise refuse("layer", layer, EXPECTED) from None
    return build(_levels(keras, layer, "layer"), "layer")


def _levels(keras: Any, layer: Any, argument: str) -> list[Level]:
    layers = keras.layers
    kind = type(layer)  # exactly: a subclass may compute anything
    if kind is keras.Sequential:
        return _all(keras, layer.layers, f"{argument}.layers")
    if kind is layers.Bidirectional:
        return [_bidirectional(keras, layer, argument)]
    if kind in (layers.RNN, layers.LSTM, layers.GRU, layers.SimpleRNN):
        if layer.go_backwards:
            raise WrongValue(
                "go_backwards: expected False, got True; convert a layer with go_backwards=False, "
                "and call lj.unroll with reverse=True"
            )
        found = _levels(keras, layer.cell, f"{argument}.cell")
        _check_same_dtype(layer, layer.cell)
        return found
    if kind is layers.StackedRNNCells:
        found = _all(keras, layer.cells, f"{argument}.cells")
        for one in layer.cells:
            _check_same_dtype(layer, one)
        return found
    if kind in (layers.LSTMCell, layers.GRUCell, layers.SimpleRNNCell):
        return [_level(keras, layer, argument)]
    raise refuse(argument, layer, EXPECTED)


def _all(keras: Any, inside: list[Any], argument: str) -> list[Level]:
    found = [_levels(keras, one, f"{argument}[{i}]") for i, one in enumerate(inside)]
    return [level for levels_of_one in found for level in levels_of_one]


def _bidirectional(keras: Any, layer: Any, argument: str) -> Level:
    if layer.merge_mode not in ("concat", "sum"):
        raise WrongValue(
            f"merge_mode: expected 'concat' or 'sum', got {layer.merge_mode!r}; convert the two "
            "directions one by one and merge their outputs yourself"
        )
    directions = {name: getattr(layer, name) for name in ("forward_layer", "backward_layer")}
    for name, one in directions.items():
        if type(one) not in (getattr(keras.layers, n) for n in ("RNN", "LSTM", "GRU", "SimpleRNN")):
            raise refuse(f"{argument}.{name}", one, "an RNN, LSTM, GRU or SimpleRNN of Keras")
    if layer.forward_layer.go_backwards or not layer.backward_layer.go_backwards:
        raise WrongValue(
            "go_backwards: expected False in the forward layer and True in the backward layer of "
            "Bidirectional, got the opposite"
        )
    parts = []
    for name, one in directions.items():
        found = _levels(keras, one.cell, f"{argument}.{name}.cell")
        _check_same_dtype(layer, one)
        _check_same_dtype(one, one.cell)
        parts.append(direction(found, f"{argument}.{name}"))
    return Level(tuple(parts), layer.merge_mode)


def _check_dtype(layer: Any) -> None:
    if layer.compute_dtype != layer.variable_dtype:
        raise WrongValue(
            f"dtype: expected a policy that computes in the dtype of its weights, "
            f"{layer.variable_dtype}, got {layer.dtype_policy.name}; convert a layer of that dtype "
            "and wrap the cell in lj.mixed_precision"
        )


def _check_same_dtype(outer: Any, inner: Any) -> None:
    """Refuses a layer that rounds what goes into the layers in it."""
    _check_dtype(inner)
    if outer.compute_dtype != inner.compute_dtype:
        raise WrongValue(
            f"dtype: expected {inner.compute_dtype} for {outer.name}, the dtype of {inner.name} "
            f"in it, got {outer.compute_dtype}"
        )


def _level(keras: Any, cell: Any, argument: str) -> Level:
    _check_dtype(cell)
    name = type(cell).__name__.removesuffix("Cell")
    if name == "GRU" and not cell.reset_after:
        name = "GRU(reset_after=False)"
    if not cell.built:
        raise WrongValue(
            f"layer: expected a built layer, got {cell.name} without weights; call "
            "layer.build((None, None, input_size))"
        )
    arrays = {n: getattr(cell, n) for n in TABLE[KERAS][name].names}
    arrays = {n: variable.value for n, variable in arrays.items() if variable is not None}
    own = {n: (getattr(keras.activations, k),) for n, k in NAMES.items()}
    act = activation_name("activation", cell.activation, own)
    options = {"activation": act}
    if name == "LSTM":
        options = {"cell_activation": act, "output_activation": act}
    if name != "SimpleRNN":
        options["gate_activation"] = activation_name(
            "recurrent_activation", cell.recurrent_activation, own
        )
    part = read_part(KERAS, name, arrays, options, argument=argument)
    return Level((part,), dropouts=dropouts_of(cell, name))


def to_keras(cell: Cell, params: Any, *, bias: bool = True) -> Any:
    """A Keras layer with the weights of a cell.

        layer = lj.interop.to_keras(cell, params)

    Layers return whole sequences, ``[B, T, H]``. The bias of a GRU with ``reset_after`` goes into
    Keras' input bias, and zero into its recurrent one, except for the candidate's. In float64 on
    Keras' JAX backend, the layer gets JAX's activations, since Keras' own tanh rounds to float32.

    Args:
        cell: ``lj.lstm``, ``lj.gru``, ``lj.rnn`` or ``lj.irnn``, alone or in ``lj.chain`` and
            ``lj.bidirectional``; inside these, with ``lj.dropout(variational=True)`` on inputs.
        params: Its params.
        bias: Whether the layers have biases; if not, those of the cell must be zero.

    Returns:
        An ``LSTM``, ``GRU``, ``SimpleRNN`` or ``Bidirectional``; for a chain, a ``Sequential``.

    Raises:
        ValueError, TypeError: For a cell that Keras does not have; the error names the option.
    """
    import keras

    found = levels(cell, params, KERAS)
    made = [_layer(keras, level, bias) for level in found]
    if len(made) == 1:
        return made[0]
    network = keras.Sequential(made)
    network.build((None, None, found[0].parts[0].input_size))
    return network


def _layer(keras: Any, level: Level, bias: bool) -> Any:
    parts = level.parts
    if len(parts) == 1:
        parts = (parts[0]._replace(dropouts=level.dropouts),)
    elif level.dropouts:
        raise WrongValue(
            "dropout: expected lj.dropout inside lj.bidirectional for Keras, which drops the "
            "inputs of each direction by itself, got it around"
        )
    makers = [_maker(keras, part, bias) for part in parts]
    shape = (None, None, parts[0].input_size)
    if len(parts) == 1:
        layer = makers[0][0]()
        layer.build(shape)
        inner = [layer]
    else:
        if parts[0].size != parts[1].size:
            raise WrongValue(
                "bidirectional: expected cells of one size for Keras, got "
                f"{parts[0].size} and {parts[1].size}"
            )
        layer = keras.layers.Bidirectional(
            makers[0][0](),
            backward_layer=makers[1][0](go_backwards=True),
            merge_mode=level.merge,
            dtype=next(iter(makers[0][1].values())).dtype.name,
        )
        layer.build(shape)
        inner = [layer.forward_layer, layer.backward_layer]
    for one, (_, arrays), part in zip(inner, makers, parts, strict=True):
        for name, array in arrays.items():
            getattr(one.cell, name).assign(array)
        if array.dtype == np.float64 and keras.backend.backend() == "jax":
            use_jax_activations(one.cell, part)
    return layer


def _maker(keras: Any, part: Part, bias: bool) -> tuple[Callable[..., Any], dict[str, Any]]:
    """A function that makes the layer of a part, and its weights."""
    name, arrays = write_part(KERAS, part, bias=bias)
    options = {
        "use_bias": bias,
        "return_sequences": True,
        "dtype": next(iter(arrays.values())).dtype.name,
        **{option: NAMES[ours] for option, ours in activation_options(part).items()},
        **dropout_options(part),
    }
    if part.kind.startswith("gru"):
        options["reset_after"] = part.kind == "gru"
    kind = getattr(keras.layers, name.partition("(")[0])
    return lambda **more: kind(part.size, **options, **more), arrays

"""Weights from and to Keras 3, on any of its backends."""

from collections.abc import Callable
from typing import Any

import numpy as np

from lstm_jax._internal.errors import WrongValue
from lstm_jax.core.cell import Cell
from lstm_jax.interop.activations import JAX_FUNCTIONS, activation_name
from lstm_jax.interop.network import Dropout, Level, Part, build, default_options, levels, refuse
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
    return build(_levels(keras, layer))


def _levels(keras: Any, layer: Any) -> list[Level]:
    layers = keras.layers
    if isinstance(layer, keras.Sequential):
        return [level for one in layer.layers for level in _levels(keras, one)]
    if isinstance(layer, layers.Bidirectional):
        return [_bidirectional(keras, layer)]
    if isinstance(layer, layers.RNN):
        if layer.go_backwards:
            raise WrongValue(
                "go_backwards: expected False, got True; convert a layer with go_backwards=False, "
                "and call lj.unroll with reverse=True"
            )
        _check_same_dtype(layer, layer.cell)
        return _levels(keras, layer.cell)
    if isinstance(layer, layers.StackedRNNCells):
        for one in layer.cells:
            _check_same_dtype(layer, one)
        return [level for one in layer.cells for level in _levels(keras, one)]
    if isinstance(layer, layers.LSTMCell | layers.GRUCell | layers.SimpleRNNCell):
        part, dropouts = _part(keras, layer)
        return [Level((part,), dropouts=dropouts)]
    raise refuse("layer", layer, EXPECTED)


def _bidirectional(keras: Any, layer: Any) -> Level:
    if layer.merge_mode not in ("concat", "sum"):
        raise WrongValue(
            f"merge_mode: expected 'concat' or 'sum', got {layer.merge_mode!r}; convert the two "
            "directions one by one and merge their outputs yourself"
        )
    if layer.forward_layer.go_backwards or not layer.backward_layer.go_backwards:
        raise WrongValue(
            "go_backwards: expected False in the forward layer and True in the backward layer of "
            "Bidirectional, got the opposite"
        )
    parts = []
    for one in (layer.forward_layer, layer.backward_layer):
        _check_same_dtype(layer, one)
        found = _levels(keras, one.cell)
        if len(found) != 1:
            raise WrongValue(
                "layer: expected a single cell in each direction of Bidirectional, got "
                f"{len(found)}; stack several Bidirectional layers"
            )
        parts.append(found[0].parts[0]._replace(dropouts=found[0].dropouts))
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


def _part(keras: Any, cell: Any) -> tuple[Part, tuple[Dropout, ...]]:
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
    return read_part(KERAS, name, arrays, options, argument="layer"), _dropouts(cell, name)


# Our names of activations, and Keras'.
NAMES = {"tanh": "tanh", "sigmoid": "sigmoid", "relu": "relu", "hard_sigmoid": "hard_sigmoid",
         "identity": "linear"}  # fmt: skip


def _dropouts(cell: Any, name: str) -> tuple[Dropout, ...]:
    found = []
    if cell.recurrent_dropout:
        if name != "SimpleRNN":
            raise WrongValue(
                f"recurrent_dropout: expected 0 for a {type(cell).__name__}, in which each gate "
                f"has a mask of its own, got {cell.recurrent_dropout}; set it to 0, and wrap the "
                'cell in lj.dropout(on="recurrent", variational=True), which has one mask for all '
                "gates"
            )
        found.append(Dropout(cell.recurrent_dropout, "recurrent", True))
    if cell.dropout:
        if name != "SimpleRNN" and cell.implementation == 1:
            raise WrongValue(
                "implementation: expected 2 with dropout, got 1, which has a mask of its own for "
                "each gate"
            )
        found.append(Dropout(cell.dropout, "input", True))
    return tuple(found)


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
            _use_jax_activations(one.cell, part)
    return layer


def _maker(keras: Any, part: Part, bias: bool) -> tuple[Callable[..., Any], dict[str, Any]]:
    """A function that makes the layer of a part, and its weights."""
    name, arrays = write_part(KERAS, part, bias=bias)
    options = {
        "use_bias": bias,
        "return_sequences": True,
        "dtype": next(iter(arrays.values())).dtype.name,
        **{option: NAMES[ours] for option, ours in _activations(part).items()},
        **_keras_dropout(part),
    }
    if part.kind.startswith("gru"):
        options["reset_after"] = part.kind == "gru"
    kind = getattr(keras.layers, name.partition("(")[0])
    return lambda **more: kind(part.size, **options, **more), arrays


def _activations(part: Part) -> dict[str, str]:
    """Keras' options of activations, by our names of the functions."""
    options = default_options(part.kind) | part.options
    for option, value in options.items():
        if option.endswith("activation") and value not in NAMES:
            raise WrongValue(
                f"{option}: expected one of {', '.join(NAMES)}, which Keras has, got {value!r}"
            )
    if part.kind == "rnn":
        return {"activation": options["activation"]}
    act = options["cell_activation" if part.kind == "lstm" else "activation"]
    if part.kind == "lstm" and options["output_activation"] != act:
        raise WrongValue(
            f"output_activation: expected {act!r}, the cell_activation, since Keras' LSTM has one "
            f"activation for both, got {options['output_activation']!r}"
        )
    return {"activation": act, "recurrent_activation": options["gate_activation"]}


def _keras_dropout(part: Part) -> dict[str, float]:
    options = {}
    for one in part.dropouts:
        recurrent = one.on == "recurrent" and part.kind == "rnn"
        option = "recurrent_dropout" if recurrent else "dropout"
        if not one.variational or not (recurrent or one.on == "input") or option in options:
            raise WrongValue(
                "dropout: expected at most one lj.dropout(variational=True) on the inputs (for "
                "lj.rnn also on='recurrent') for Keras, got "
                f"on={one.on!r}, variational={one.variational}"
            )
        options[option] = one.rate
    return options


def _use_jax_activations(cell: Any, part: Part) -> None:
    for option, name in _activations(part).items():
        setattr(cell, option, JAX_FUNCTIONS[name])

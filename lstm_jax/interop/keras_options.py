"""The activations and dropout of Keras' cells, from and to ours."""

from typing import Any

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.interop.activations import JAX_FUNCTIONS
from lstm_jax.interop.network import Dropout, Part, default_options

# Our names of activations, and Keras'.
NAMES = {"tanh": "tanh", "sigmoid": "sigmoid", "relu": "relu", "hard_sigmoid": "hard_sigmoid",
         "identity": "linear"}  # fmt: skip


def dropouts_of(cell: Any, name: str) -> tuple[Dropout, ...]:
    """The dropouts around our cell from the options of Keras'."""
    found = []
    if cell.recurrent_dropout:
        if name != "SimpleRNN":
            raise WrongValue(
                f"recurrent_dropout: expected 0 for a {type(cell).__name__}, in which each gate "
                f"has a mask of its own, got {cell.recurrent_dropout}; set it to 0, and wrap the "
                'cell in lj.dropout(on="recurrent", variational=True), which has one mask for all '
                "gates"
            )
        rate = checking.rate("recurrent_dropout", cell.recurrent_dropout)
        found.append(Dropout(rate, "recurrent", True))
    if cell.dropout:
        if name != "SimpleRNN" and cell.implementation == 1:
            raise WrongValue(
                "implementation: expected 2 with dropout, got 1, which has a mask of its own for "
                "each gate"
            )
        found.append(Dropout(checking.rate("dropout", cell.dropout), "input", True))
    return tuple(found)


def activation_options(part: Part) -> dict[str, str]:
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


def dropout_options(part: Part) -> dict[str, float]:
    """Keras' options of dropout."""
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


def use_jax_activations(cell: Any, part: Part) -> None:
    """Gives a cell of Keras JAX's functions in place of Keras' own."""
    for option, name in activation_options(part).items():
        setattr(cell, option, JAX_FUNCTIONS[name])

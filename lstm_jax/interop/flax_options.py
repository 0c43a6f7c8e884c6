"""What Flax's two interfaces, NNX and Linen, have in common."""

import operator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax._internal.errors import WrongValue
from lstm_jax.interop.activations import JAX_FUNCTIONS, activation_name
from lstm_jax.interop.network import Part, default_options


def cell_options(cell: Any, kind: str) -> dict[str, Any]:
    """The options of our cell from those of Flax's."""
    if getattr(cell, "residual", False):
        raise WrongValue(
            "residual: expected False, got True; add the identity to the recurrent kernel, which "
            "computes the same"
        )
    start = cell.carry_init
    if start is not None and start is not jax.nn.initializers.zeros:
        raise WrongValue(
            f"carry_init: expected zeros, got {getattr(start, '__name__', repr(start))}; start "
            "from another state with lj.learned_state"
        )
    act = activation_name("activation_fn", cell.activation_fn)
    if kind == "rnn":
        return {"activation": act}
    gate = activation_name("gate_fn", cell.gate_fn)
    if kind == "lstm":
        return {"gate_activation": gate, "cell_activation": act, "output_activation": act}
    return {"gate_activation": gate, "activation": act}


def check_dtype(cell: Any, weights: Any) -> None:
    """Refuses a cell that computes in another dtype than that of its weights."""
    if cell.dtype is not None and np.dtype(cell.dtype) != np.dtype(weights.dtype):
        raise WrongValue(
            f"dtype: expected None or {np.dtype(weights.dtype).name}, the dtype of the weights, "
            f"got {np.dtype(cell.dtype).name}; convert a cell that computes in it, and wrap ours "
            "in lj.mixed_precision"
        )


def flax_functions(part: Part) -> dict[str, Any]:
    """The activations of Flax's cell, if they are not its defaults."""
    options = default_options(part.kind) | part.options
    if part.kind == "rnn":
        given = {"activation_fn": options["activation"]}
    else:
        act = options["cell_activation" if part.kind == "lstm" else "activation"]
        if part.kind == "lstm" and options["output_activation"] != act:
            raise WrongValue(
                f"output_activation: expected {act!r}, the cell_activation, since Flax's cells "
                f"have one activation_fn for both, got {options['output_activation']!r}"
            )
        given = {"gate_fn": options["gate_activation"], "activation_fn": act}
    return {option: JAX_FUNCTIONS[name] for option, name in given.items()}


def merge_of(function: Any, concatenate: Any) -> str:
    """Our ``merge`` for a ``merge_fn`` of Flax."""
    if function is concatenate:
        return "concat"
    if function in (operator.add, jnp.add):
        return "sum"
    raise WrongValue(
        "merge_fn: expected Flax's default, which concatenates, or operator.add, got "
        f"{getattr(function, '__name__', repr(function))}; convert the two directions one by one"
    )


def check_direction(rnn: Any) -> None:
    """Refuses a layer that runs backwards by itself."""
    if rnn.reverse:
        raise WrongValue(
            "reverse: expected False, got True; convert a layer with reverse=False, and call "
            "lj.unroll with reverse=True"
        )

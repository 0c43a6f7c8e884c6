"""The peers' weights from ours, and their gradients as ours, by the table of ``lj.interop``."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

import lstm_jax as lj
from benchmarks.harness.work import Layer
from lstm_jax.interop.network import Part
from lstm_jax.interop.parts import write_part


def ours(cell: str, layers: list[Layer], *, reset_after: bool = True) -> tuple[lj.Cell, Any]:
    """Our network of these layers, and its params."""
    made, params = [], []
    for layer in layers:
        size = layer["w_h"].shape[0]
        made.append(lj.lstm(size) if cell == "lstm" else lj.gru(size, reset_after=reset_after))
        params.append(_params(layer, cell == "gru" and reset_after))
    if len(layers) == 1:
        return made[0], params[0]
    return lj.chain(*made), tuple(params)


def _params(layer: Layer, has_b_h: bool) -> dict[str, Any]:
    size = layer["w_h"].shape[0]
    return layer | ({"b_h": np.zeros(size, np.float32)} if has_b_h else {})


def write(library: str, cell: str, layer: Layer) -> dict[str, Any]:
    """The arrays of a peer's cell, by their names in the table.

    Args:
        library: A key of ``lstm_jax.interop.table.TABLE``.
        cell: "lstm" or "gru".
        layer: Our weights.
    """
    kind = "gru_reset_before" if (library, cell) == ("Haiku", "gru") else cell
    params = _params(layer, kind == "gru")
    return write_part(library, Part(kind, layer["w_h"].shape[0], {}, params))[1]


def read_gradients(library: str, cell: str, layer: Layer, arrays: Mapping[str, Any]) -> Layer:
    """The gradients of ``layer`` from those of the arrays that ``write`` gives for it, in the
    dtype of ``layer``."""
    written, pull = jax.vjp(lambda layer: write(library, cell, layer), layer)
    (gradients,) = pull(
        {name: jax.numpy.asarray(arrays[name], like.dtype) for name, like in written.items()}
    )
    return {name: np.asarray(gradient) for name, gradient in gradients.items()}

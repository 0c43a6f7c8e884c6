"""Inputs made of others: convolutions in time, several columns, and texts read into one vector."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax._internal import cell_checks, checking
from lstm_jax._internal.errors import ArgumentError, WrongType, WrongValue
from lstm_jax._internal.generators import split_key
from lstm_jax.core.activations import activation as activation_of
from lstm_jax.core.cell import Cell
from lstm_jax.core.recipes import factory
from lstm_jax.core.typing import Params
from lstm_jax.train.inputs.contract import Inputs, Vectors, uniform_leaves
from lstm_jax.train.model import last_of
from lstm_jax.unrolling import unroll


@factory
def convolution(inputs: Inputs, filters: int, width: int, *, activation: str = "relu") -> Inputs:
    """Filters over windows of steps (Kim 2014, eq. 2), with as many outputs as steps.

        words = train.inputs.convolution(train.inputs.embedding(20_000, 128), 100, 5)

    Each output sees ``(width - 1) // 2`` steps before its own and ``width // 2`` after it; steps
    before a row's first and after its last are zero, whatever stands in the padding. Params
    ``{"inputs", "w" [width, E, F], "b" [F]}``, Glorot's uniform weights and zero biases at first.

    Args:
        inputs: what the filters see.
        filters: F.
        width: the steps of a window.
        activation: "relu", "tanh", "sigmoid", "identity" or another of the cells' activations.
    """
    inputs = require_inputs("inputs", inputs)
    filters = checking.positive_int("filters", filters)
    width = checking.positive_int("width", width)
    activate = activation_of("activation", activation)
    sides = ((width - 1) // 2, width // 2)

    def init(key: Any, *, scale: float | None = None) -> Params:
        key_inputs, key_own = jax.random.split(checking.random_key("key", key))
        shape = (width, inputs.size, filters)
        w = jax.nn.initializers.glorot_uniform()(key_own, shape, jnp.float32)
        own = {"w": w, "b": jnp.zeros(filters, jnp.float32)}
        return {
            "inputs": inputs.init(key_inputs, scale=scale),
            **uniform_leaves(own, key_own, scale),
        }

    def apply(params: Params, xs: Any, *, dropout: float = 0.0, key: Any = None) -> Vectors:
        cell_checks.entries("params['inputs']", params, ("inputs", "w", "b"), "convolution")
        values, lengths = inputs.apply(params["inputs"], xs, dropout=dropout, key=key)
        if values.ndim != 3:
            raise WrongValue(f"xs: expected sequences for a convolution, got one vector per row, "
                             f"{values.shape}")  # fmt: skip
        if lengths is not None:
            lengths = checking.lengths(lengths, values.shape[0], values.shape[1:-1])
            inside = jnp.arange(values.shape[0])[:, None] < lengths
            values = jnp.where(inside[..., None], values, 0)  # 0 * NaN would be NaN
        outputs = jax.lax.conv_general_dilated(
            values.astype(params["w"].dtype), params["w"], (1,), [sides],
            dimension_numbers=("WNC", "WIO", "WNC"),
        )  # fmt: skip
        return Vectors(activate(outputs + params["b"]), lengths)

    return Inputs("convolution", filters, init, apply, inputs.stepwise and width == 1)


@factory
def mixed(columns: Mapping[str, Inputs]) -> Inputs:
    """Several columns together, as a dict ``{name: values}``.

        inputs = train.inputs.mixed({
            "readings": train.inputs.numbers(7),
            "station": train.inputs.embedding(12, 4),
        })

    At each step the vectors of all columns are joined, in the order of their names; those without
    time, such as a category of each row, are repeated at every step. At least one column has time.
    Of several, rows must have the same lengths: other lengths are an error if they are known, and
    if they are traced, a row ends where its shortest column ends. A text beside a series has a time
    of its own: read it by ``summary``. Params ``{name: ...}``.

    Args:
        columns: inputs by name.
    """
    if not isinstance(columns, Mapping) or not columns:
        raise WrongType(f"columns: expected a dict of inputs by name, got {columns!r}")
    parts = {n: require_inputs(f"columns[{n!r}]", part) for n, part in sorted(columns.items())}

    def init(key: Any, *, scale: float | None = None) -> Params:
        keys = jax.random.split(checking.random_key("key", key), len(parts))
        return {n: part.init(k, scale=scale) for (n, part), k in zip(parts.items(), keys,
                                                                     strict=True)}  # fmt: skip

    def apply(params: Params, xs: Any, *, dropout: float = 0.0, key: Any = None) -> Vectors:
        cell_checks.entries("params['inputs']", params, tuple(parts), "mixed")
        if not isinstance(xs, Mapping):
            raise WrongType(f"xs: expected a dict of {', '.join(parts)}, got {type(xs).__name__}")
        for wrong, what in ((parts.keys() - xs.keys(), "a column"),
                            (xs.keys() - parts.keys(), "no column")):  # fmt: skip
            if wrong:
                raise WrongValue(
                    f"xs: expected {what} {min(map(repr, wrong))}, got {', '.join(map(repr, xs))}"
                )
        read = {}
        for (name, part), own in zip(parts.items(), split_key(key, len(parts)), strict=True):
            try:
                read[name] = part.apply(params[name], xs[name], dropout=dropout, key=own)
            except ArgumentError as error:
                text = str(error).removeprefix("xs")
                if text == str(error):
                    raise
                kind = WrongType if isinstance(error, TypeError) else WrongValue
                raise kind(f"xs[{name!r}]{text}") from error
        return _join(read)

    size = sum(part.size for part in parts.values())
    return Inputs("mixed", size, init, apply, all(part.stepwise for part in parts.values()))


@factory
def summary(inputs: Inputs, cell: Cell) -> Inputs:
    """What ``cell`` makes of a sequence by its last step: one vector ``[B, H]`` of each row.

    For a column of ``mixed`` with a time of its own, such as a text beside a series. A row of
    length 0 gives zeros. Params ``{"inputs", "cell"}``.

    Args:
        inputs: what the cell reads.
        cell: a cell or a layer.
    """
    inputs = require_inputs("inputs", inputs)
    cell_checks.cell("cell", cell)
    cell_checks.vectors_only("cell", cell)

    def init(key: Any, *, scale: float | None = None) -> Params:
        key_inputs, key_cell = jax.random.split(checking.random_key("key", key))
        of_cell = cell.init(key_cell, inputs.size)
        return {
            "inputs": inputs.init(key_inputs, scale=scale),
            "cell": uniform_leaves(of_cell, key_cell, scale),
        }

    def apply(params: Params, xs: Any, *, dropout: float = 0.0, key: Any = None) -> Vectors:
        cell_checks.entries("params['inputs']", params, ("inputs", "cell"), "summary")
        key_inputs, key_cell = split_key(key, 2)
        values, lengths = inputs.apply(params["inputs"], xs, dropout=dropout, key=key_inputs)
        if values.ndim != 3 or values.shape[0] == 0:
            raise WrongValue(
                f"xs: expected sequences of one step or more, got vectors of {values.shape}"
            )
        _, ys = unroll(cell, params["cell"], values, lengths=lengths, key=key_cell)
        return Vectors(ys[-1] if lengths is None else last_of(ys, lengths), None)

    return Inputs("summary", cell.size, init, apply, False)


def require_inputs(argument: str, value: Any) -> Inputs:
    """Returns ``value`` if it is one of the inputs."""
    if not isinstance(value, Inputs):
        raise WrongType(f"{argument}: expected one of train.inputs, got {value!r}")
    return value


def _join(read: dict[str, Vectors]) -> Vectors:
    timed = {name: part for name, part in read.items() if part.values.ndim == 3}
    if not timed:
        raise WrongValue(f"xs: expected a column with time, got one vector per row in "
                         f"{', '.join(map(repr, read))}")  # fmt: skip
    first, main = next(iter(timed.items()))
    batch = main.values.shape[1]
    for name, part in read.items():
        if part.values.shape[-2] != batch:
            raise WrongValue(f"xs[{name!r}]: expected {batch} rows, as {first!r} has, got "
                             f"{part.values.shape[-2]}")  # fmt: skip
    # Padded columns may have further padding: rows end before it.
    steps = min(part.values.shape[0] for part in timed.values())
    for name, part in timed.items():
        if part.lengths is None and part.values.shape[0] != steps:
            raise WrongValue(f"xs[{name!r}]: expected {steps} steps, as the other columns have, "
                             f"got {part.values.shape[0]}")  # fmt: skip
    lengths = _common_lengths(timed)
    values = [
        part.values[:steps] if name in timed
        else jnp.broadcast_to(part.values, (steps, *part.values.shape))
        for name, part in read.items()
    ]  # fmt: skip
    return Vectors(jnp.concatenate(values, axis=-1), lengths)


def _common_lengths(timed: dict[str, Vectors]) -> Any:
    given = {name: part.lengths for name, part in timed.items() if part.lengths is not None}
    if not given:
        return None
    (first, lengths), *others = given.items()
    for name, other in others:
        if not any(isinstance(one, jax.core.Tracer) for one in (lengths, other)):
            wrong = np.flatnonzero(np.asarray(lengths) != np.asarray(other))
            if wrong.size:
                raise WrongValue(
                    f"xs[{name!r}]: expected the lengths of {first!r}, got another in row "
                    f"{wrong[0]}; read a column with a time of its own by summary"
                )
        lengths = jnp.minimum(lengths, other)
    return lengths

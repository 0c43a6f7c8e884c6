"""Weights from and to PyTorch."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax.core.cell import Cell
from lstm_jax.interop.arrays import named
from lstm_jax.interop.network import Level, levels, refuse, single
from lstm_jax.interop.parts import layout_of, write_part
from lstm_jax.interop.table import TABLE
from lstm_jax.interop.torch_entries import GATES, PYTORCH, from_arrays

EXPECTED = (
    "an nn.LSTM, nn.GRU, nn.RNN, nn.LSTMCell, nn.GRUCell or nn.RNNCell, or the state dict of one"
)


def from_torch(
    module: Any,
    *,
    prefix: str = "",
    nonlinearity: str | None = None,
    dropout: float | None = None,
) -> tuple[Cell, Any]:
    """A cell with the weights of a PyTorch module.

        cell, params = lj.interop.from_torch(torch.nn.LSTM(3, 8, num_layers=2))
        cell, params = lj.interop.from_torch(state_dict, prefix="encoder.lstm.")

    Layers become ``lj.chain``, two directions ``lj.bidirectional``, a projection
    ``lj.lstm(projection=)``, and dropout between layers ``lj.dropout`` on the inputs of all but the
    first. PyTorch's two biases of a gate are summed, except for those of a GRU's candidate, since
    the reset gate stands between them. ``batch_first`` is a layout of data and not of weights: the
    cell takes ``[T, B, D]`` in any case.

    Args:
        module: An ``nn.LSTM``, ``nn.GRU``, ``nn.RNN``, or a cell of them; or a state dict, whose
            values may be arrays of NumPy as well, for which PyTorch need not be installed. Kind,
            sizes, layers, directions, biases and projection are read from its names and shapes.
        prefix: The entries of a state dict are those whose names start so.
        nonlinearity: "tanh" or "relu" for the state dict of an ``nn.RNN``, which does not hold it.
        dropout: The rate between layers for a state dict, which does not hold it; by default 0.

    Returns:
        ``(cell, params)``, in the dtype of the weights.

    Raises:
        ValueError, TypeError: For a module of another kind, for entries that do not belong to one
            module, and for float64 weights unless ``jax_enable_x64`` is set.
    """
    if isinstance(module, Mapping):
        if not isinstance(prefix, str):
            raise WrongType(f"prefix: expected text, got {prefix!r}")
        tree = named("module", module)
        arrays = {n.removeprefix(prefix): a for n, a in tree.items() if n.startswith(prefix)}
        return from_arrays(arrays, None, nonlinearity, dropout or 0.0)
    for name, value in {"nonlinearity": nonlinearity, "dropout": dropout}.items():
        if value is not None:
            raise WrongValue(f"{name}: expected None for a module, which knows it, got {value!r}")
    if prefix:
        raise WrongValue(f"prefix: expected none for a module, got {prefix!r}")
    try:
        from torch import nn
        from torch.nn.utils import parametrize
    except ImportError:
        raise refuse("module", module, EXPECTED) from None
    exact = parametrize.type_before_parametrizations(module)
    for kind in GATES.values():
        name = kind.removeprefix("nn.")
        if exact is getattr(nn, name):
            entries = module._flat_weights_names
            rate = module.dropout if module.num_layers > 1 else 0.0
        elif exact is getattr(nn, f"{name}Cell"):
            entries = [
                n for n in TABLE[PYTORCH][kind].names if getattr(module, n, None) is not None
            ]
            rate = 0.0
        else:
            continue
        for entry in entries:
            if entry not in module._parameters and not parametrize.is_parametrized(module, entry):
                raise WrongValue(
                    f"module: expected a parameter {entry!r}, got one that a hook computes before "
                    "each call; remove the hook (of weight_norm, spectral_norm or pruning) first"
                )
        arrays = {entry: getattr(module, entry) for entry in entries}
        return from_arrays(arrays, kind, getattr(module, "nonlinearity", None), rate)
    raise refuse("module", module, EXPECTED)


def to_torch(
    cell: Cell,
    params: Any,
    *,
    bias: bool = True,
    batch_first: bool = False,
    single_step: bool = False,
) -> Any:
    """A PyTorch module with the weights of a cell.

        module = lj.interop.to_torch(cell, params)

    A bias goes into ``bias_ih``, and zero into ``bias_hh``, except for the recurrent bias of a
    GRU's candidate.

    Args:
        cell: ``lj.lstm``, ``lj.gru``, ``lj.rnn`` or ``lj.irnn``; several of one kind and size in
            ``lj.chain``, in two directions in ``lj.bidirectional``, with ``lj.dropout`` on the
            inputs of all layers but the first.
        params: Its params.
        bias: Whether the module has biases; if not, those of the cell must be zero.
        batch_first: Whether the module takes ``[B, T, D]``.
        single_step: Whether the result is an ``nn.LSTMCell``, ``nn.GRUCell`` or ``nn.RNNCell``.

    Returns:
        An ``nn.LSTM``, ``nn.GRU`` or ``nn.RNN`` in the dtype of the params.

    Raises:
        ValueError, TypeError: For a cell that PyTorch does not have; the error names the option.
    """
    checking.flag("batch_first", batch_first)
    checking.flag("single_step", single_step)
    found = levels(cell, params, PYTORCH)
    arrays, options = state_dict(found, bias=bias)
    name = options.pop("name")
    if single_step:
        part = single(found, "single_step", PYTORCH)
        if "projection" in part.options:
            raise WrongValue(
                "projection: expected None, since nn.LSTMCell has none, got "
                f"{part.options['projection']}; convert to an nn.LSTM with single_step=False"
            )
        if found[0].dropouts:
            raise WrongValue("dropout: expected none, since PyTorch's cells have none, got some")
        name += "Cell"
        arrays = {entry.removesuffix("_l0"): array for entry, array in arrays.items()}
        for option in ("num_layers", "bidirectional", "dropout"):
            del options[option]
    else:
        options["batch_first"] = batch_first
    import torch

    dtype = getattr(torch, next(iter(arrays.values())).dtype.name)
    # On "meta" no initial weights are drawn, so that PyTorch's generator stays as it is.
    module = getattr(torch.nn, name)(device="meta", dtype=dtype, bias=bias, **options)
    module.to_empty(device="cpu")
    module.load_state_dict({entry: _tensor(torch, array) for entry, array in arrays.items()})
    if not single_step:
        module.flatten_parameters()
    return module


def _tensor(torch: Any, array: np.ndarray) -> Any:
    if array.dtype == jnp.bfloat16:
        return torch.from_numpy(array.astype(np.float32)).to(torch.bfloat16)
    return torch.from_numpy(array.copy())


def state_dict(found: list[Level], *, bias: bool = True) -> tuple[dict[str, Any], dict[str, Any]]:
    """The entries of a module by name, and the name and the options of its class."""
    _check_uniform(found)
    first = found[0].parts[0]
    name, _ = layout_of(first, PYTORCH)
    activation = first.options.get("activation", "tanh")
    if first.kind == "rnn":
        checking.choice("activation", activation, ("tanh", "relu"))
    arrays: dict[str, Any] = {}
    for i, level in enumerate(found):
        for part, suffix in zip(level.parts, ("", "_reverse"), strict=False):
            entries = write_part(PYTORCH, part, bias=bias)[1]
            arrays |= {f"{entry}_l{i}{suffix}": array for entry, array in entries.items()}
    options = {
        "name": name.removeprefix("nn."),
        "input_size": first.input_size,
        "hidden_size": first.size,
        "num_layers": len(found),
        "bidirectional": len(found[0].parts) > 1,
        "dropout": found[1].dropouts[0].rate if len(found) > 1 and found[1].dropouts else 0.0,
    }
    if first.kind == "rnn":
        options["nonlinearity"] = activation
    if "projection" in first.options:
        options["proj_size"] = first.options["projection"]
    return arrays, options


def _check_uniform(found: list[Level]) -> None:
    """Checks that one module can hold all layers."""
    first = found[0].parts[0]
    directions = len(found[0].parts)
    for i, level in enumerate(found):
        if len(level.parts) != directions:
            raise WrongValue(
                "bidirectional: expected all layers or none for PyTorch, got both; convert the "
                "layers one by one"
            )
        if directions > 1 and level.merge != "concat":
            raise WrongValue(
                f"merge: expected 'concat', all that PyTorch has, got {level.merge!r}; add the "
                "two halves of the outputs of a module with one layer"
            )
        for part in level.parts:
            if (part.kind, part.size, part.options) != (first.kind, first.size, first.options):
                raise WrongValue(
                    f"cell: expected layers of one kind, size and options for PyTorch, got "
                    f"{first.kind}({first.size}) and {part.kind}({part.size}) with options "
                    f"{first.options} and {part.options}; convert the layers one by one"
                )
            if part.dropouts:
                raise WrongValue(
                    "dropout: expected lj.dropout around lj.bidirectional for PyTorch, got it "
                    "inside"
                )
        wanted = found[1].dropouts if i else ()
        usable = not level.dropouts or (
            len(level.dropouts) == 1
            and level.dropouts[0].on == "input"
            and not level.dropouts[0].variational
        )
        if level.dropouts != wanted or not usable:
            raise WrongValue(
                "dropout: expected one rate on the inputs of all layers but the first, new at "
                f"each step, as PyTorch has it, got {[level.dropouts for level in found]}"
            )

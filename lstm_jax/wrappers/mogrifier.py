"""The mogrifier: input and state scale each other before each step."""

from typing import Any

import jax
import jax.numpy as jnp

from lstm_jax._internal import cell_checks, checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.core import initializers as init
from lstm_jax.core.cell import Cell
from lstm_jax.core.forms import Composite, Plain
from lstm_jax.core.gates import GateAxis
from lstm_jax.core.numerics import product
from lstm_jax.core.recipes import factory
from lstm_jax.core.steps import advance_of, observe
from lstm_jax.core.typing import Params, StateT
from lstm_jax.wrappers.shapes import shapes_of_state


@factory
def mogrifier(cell: Cell[StateT], rounds: int = 5, *, rank: int | None = None) -> Cell[StateT]:
    """``cell``, whose input x and last output h scale each other in turn before each step.

        cell = lj.mogrifier(lj.lstm(128), rounds=5, rank=32)

    In odd rounds ``x = 2 sigmoid(h q) x``, in even ones ``h = 2 sigmoid(x r) h``, after which the
    cell takes its step with both. Melis, Kocisky & Blunsom 2020, "Mogrifier LSTM", section 2. It is
    good for language, where the meaning of an input depends on its context.

    The cell takes the scaled h wherever it reads its last one: in a GRU also in the mean with the
    candidate. Since x depends on h, the steps are taken one after another by a plain scan.

    Params ``{"cell", "q1" [H, D], "r2" [D, H], "q3", ...}``, numbered by rounds; with a ``rank`` N,
    each matrix is the product of two, ``"q1_in" [H, N]`` and ``"q1_out" [N, D]``. The state is the
    cell's.

    Args:
        cell: A single cell with a field ``h [*batch, H]`` in its state, such as an LSTM or a GRU;
            in a chain, wrap its cells.
        rounds: The number of rounds. The paper found 5 or 6 to be best.
        rank: The rank N of the matrices, for fewer parameters; by default they are whole.

    Raises:
        ValueError, TypeError: For other cells, and for a wrong argument.
    """
    cell_checks.cell("cell", cell)
    rounds = checking.positive_int("rounds", rounds)
    rank = None if rank is None else checking.positive_int("rank", rank)
    size = cell.size
    h = None if isinstance(cell.form, Composite) else getattr(shapes_of_state(cell), "h", None)
    if h is None or h.shape != (size,):
        raise WrongValue(
            "cell: expected a single cell with its output's size in its state's field "
            f"h [*batch, H], got {cell.name}; wrap the cells inside it"
        )
    names = [f"{'rq'[i % 2]}{i}" for i in range(1, rounds + 1)]

    def make_init(key, input_size, dtype=jnp.float32):
        keys = jax.random.split(checking.random_key("key", key), rounds + 1)
        params = {"cell": cell.init(keys[0], input_size, dtype)}
        for name, own in zip(names, keys[1:], strict=True):
            rows, columns = (size, input_size) if name[0] == "q" else (input_size, size)
            if rank is None:
                params[name] = _matrix(own, rows, columns, dtype)
                continue
            key_in, key_out = jax.random.split(own)
            params[f"{name}_in"] = _matrix(key_in, rows, rank, dtype)
            params[f"{name}_out"] = _matrix(key_out, rank, columns, dtype)
        return params

    def initial_state(params, batch_shape=(), dtype=None):
        cell_checks.entries("params", params, entries, "mogrifier")
        return cell.initial_state(params["cell"], batch_shape, dtype)

    def prepare(params, batch_shape, key):
        return params | {"cell": cell.prepare(params["cell"], batch_shape, key)}

    def scale(params: Params, name: str, values: jax.Array, by: jax.Array) -> jax.Array:
        for part in [name] if rank is None else [f"{name}_in", f"{name}_out"]:
            by = product(by, params[part])
        return (2.0 * jax.nn.sigmoid(by) * values).astype(values.dtype)

    def observe_scaled(params, state, x):
        h = state.h
        for name in names:
            if name[0] == "q":
                x = scale(params, name, x, h)
            else:
                h = scale(params, name, h, x)
        return observe(cell)(params["cell"], state._replace(h=h), x)

    parts = names if rank is None else [f"{n}_{end}" for n in names for end in ("in", "out")]
    entries = ("cell", *parts)
    form = Plain(observe_scaled)
    return cell._replace(
        name="mogrifier",
        init=make_init,
        initial_state=initial_state,
        advance=advance_of(form),
        form=form,
        prepare=prepare,
    )


def _matrix(key: Any, rows: int, columns: int, dtype: Any) -> jax.Array:
    return init.glorot()(key, (rows,), GateAxis(("scale",), (columns,)), dtype)

"""Checks of cells, their params and their states. They read shapes and dtypes only.

Nothing here imports the contract: cells are recognised by their attributes.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax._internal import checking
from lstm_jax._internal.dtypes import is_wide_float, jax_dtype
from lstm_jax._internal.errors import ArgumentError, WrongType, WrongValue


def cell(argument: str, value: Any, *, memory: bool = False) -> None:
    """Checks that ``value`` looks like a cell; ``Cell`` itself cannot be imported here.

    Args:
        argument: Its name in the error.
        value: The argument.
        memory: Whether a cell with a memory is accepted; most wrappers would lose the memory.
    """
    if not all(hasattr(value, name) for name in ("init", "initial_state", "step", "form")):
        hint = " (call the factory: lj.lstm(128))" if callable(value) else ""
        raise WrongType(f"{argument}: expected a Cell, such as lj.lstm(128), got {value!r}{hint}")
    if not memory and getattr(value, "memory", None) is not None:
        raise WrongValue(
            f"{argument}: expected a cell without a memory, got {value.name}; wrap the cell "
            "inside, as in lj.attentive(lj.dropout(cell, 0.1), memory)"
        )


def vectors_only(argument: str, value: Any) -> None:
    """Checks that the inputs of the cell ``value`` are vectors, and not images."""
    if value.grid.inputs:
        raise WrongValue(
            f"{argument}: expected a cell whose inputs are vectors, [*batch, D], got {value.name}, "
            f"whose inputs are {describe_inputs(value)}"
        )


def describe_inputs(cell: Any, *, time: bool = False) -> str:
    """The shape of the inputs of ``cell`` in words, such as ``[*batch, 64, 64, D]``."""
    axes = ["T"] * time + ["*batch", *map(str, cell.grid.inputs), "D"]
    return f"[{', '.join(axes)}]"


def inputs(cell: Any, argument: str, value: Any, *, time: bool = False) -> jax.Array:
    """Returns ``value`` as an array of inputs of ``cell``: of a step, or with time as axis 0."""
    expected = describe_inputs(cell, time=time)
    value = checking.float_array(argument, value, expected, time + cell.feature_axes)
    grid = value.shape[value.ndim - cell.feature_axes : -1]
    if grid != cell.grid.inputs:
        raise WrongValue(
            f"{argument}: expected {expected}, as {cell.name} reads it, got shape {value.shape}"
        )
    return value


def entries(argument: str, value: Any, names: tuple[str, ...], whose: str) -> None:
    """Checks that ``value`` is a dict with the entries ``names`` of ``whose`` params."""
    if not isinstance(value, dict) or set(value) != set(names):
        got = sorted(value) if isinstance(value, dict) else type(value).__name__
        raise WrongValue(
            f"{argument}: expected the entries {', '.join(names)} of {whose}, got {got}"
        )


def parts(argument: str, value: Any, count: int, whose: str) -> None:
    """Checks that ``value`` is a tuple with one entry per part of ``whose``."""
    if not isinstance(value, tuple | list) or len(value) != count:
        got = len(value) if isinstance(value, tuple | list) else type(value).__name__
        raise WrongValue(
            f"{argument}: expected a tuple with one entry for each of the {count} cells of "
            f"{whose}, got {got}"
        )


def same_shapes(argument: str, value: Any, expected: Any, whose: str) -> None:
    """Checks that ``value`` has the entries and shapes of ``expected``, all of floats."""
    got, shapes = _shapes_by_path(argument, value), _shapes_by_path(argument, expected)
    difference = _describe_difference(got, shapes, whose)
    if difference is not None:
        raise WrongValue(argument + difference)
    floating(argument, value)


def floating(argument: str, value: Any) -> None:
    """Checks that all leaves of ``value`` are floats that one can compute in."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(value):
        name = argument + jax.tree_util.keystr(path)
        dtype = jax_dtype(name, leaf)
        if not is_wide_float(dtype):
            raise WrongValue(
                f"{name}: expected a floating dtype of 16 bits or more, got dtype {dtype.name}"
            )


def params(cell: Any, value: Any, input_argument: str, input_size: int) -> None:
    """Checks that ``value`` has the entries and shapes of ``cell.init(key, input_size)``."""
    try:
        expected = _expected_params(cell, input_size)
    except ArgumentError as error:  # such as a residual layer whose input is of another size
        raise WrongValue(
            f"{input_argument}: expected an input size that {cell.name} accepts, got "
            f"{input_size} ({error})"
        ) from None
    shapes, got = _shapes_by_path("params", expected), _shapes_by_path("params", value)
    source = f"{cell.name}.init for input size {input_size}"
    difference = _describe_difference(got, shapes, source)
    if difference is None:
        floating("params", value)
        return
    made_for = _input_size_of(cell, got, input_size)
    if made_for is not None:
        raise WrongValue(
            f"{input_argument}: expected input size {made_for}, for which params of {cell.name} "
            f"were made, got {input_size}"
        )
    raise WrongValue("params" + difference)


def input_size_of(cell: Any, params: Any) -> int:
    """The input size for which ``params`` were made."""
    size = _input_size_of(cell, _shapes_by_path("params", params), 0)
    if size is None:
        raise WrongValue(f"params: expected params of {cell.name}, got other entries or shapes")
    return size


def state(
    cell: Any, params: Any, value: Any, batch: tuple[int, ...], argument: str = "state"
) -> None:
    """Checks that ``value`` is a state of ``cell`` with the batch axes of the input."""
    expected = jax.eval_shape(lambda p: cell.initial_state(p, batch), params)
    source = f"{cell.name}.initial_state for batch shape {batch}"
    structure = str(jax.tree.structure(expected))
    same = structure == str(jax.tree.structure(value))
    if not same and type(expected) is not type(value):
        raise WrongValue(
            f"{argument}: expected {type(expected).__name__}, as {source} gives it, "
            f"got {type(value).__name__}"
        )
    got, shapes = _shapes_by_path(argument, value), _shapes_by_path(argument, expected)
    difference = _describe_difference(got, shapes, source)
    if difference is not None:
        raise WrongValue(argument + difference)
    if not same:
        raise WrongValue(
            f"{argument}: expected {structure}, as {source} gives it, "
            f"got {jax.tree.structure(value)}"
        )
    for (path, leaf), like in zip(
        jax.tree_util.tree_leaves_with_path(value), jax.tree.leaves(expected), strict=True
    ):
        name = f"{argument}{jax.tree_util.keystr(path)}"
        if jnp.issubdtype(like.dtype, jnp.floating):
            floating(name, leaf)
        elif jnp.result_type(leaf) != like.dtype:
            raise WrongValue(f"{name}: expected {like.dtype}, got dtype {jnp.result_type(leaf)}")


@functools.lru_cache(maxsize=4096)
def _expected_params(cell: Any, input_size: int) -> Any:
    return jax.eval_shape(lambda key: cell.init(key, input_size), jax.random.key(0))


def _input_size_of(cell: Any, got: dict[str, Any], wrong_size: int) -> int | None:
    """The input size for which params of the shapes ``got`` would be right, if there is one."""
    sizes = {n for shape in got.values() for n in shape}
    # A cell that reads its input beside something else has only their sum among its shapes.
    differences = {a - b for a in sizes for b in sizes} - sizes
    for size in [*sorted(sizes), *sorted(differences)]:
        if size != wrong_size and size > 0:
            try:
                expected = _shapes_by_path("params", _expected_params(cell, size))
            except ArgumentError:
                continue
            if expected == got:
                return size
    return None


def _shapes_by_path(argument: str, tree: Any) -> dict[str, tuple[int, ...]]:
    """The shapes of the leaves by path; a leaf that JAX has no dtype for is an error."""
    shapes = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        name = jax.tree_util.keystr(path)
        jax_dtype(argument + name, leaf)
        shapes[name] = tuple(np.shape(leaf))
    return shapes


def _describe_difference(got: dict[str, Any], expected: dict[str, Any], source: str) -> str | None:
    """The first leaf whose shape differs, as "path: expected X, got Y"; None if all agree."""
    for path in [*expected, *got]:
        if got.get(path) != expected.get(path):
            want, have = (
                f"shape {shapes[path]}" if path in shapes else "no such entry"
                for shapes in (expected, got)
            )
            return f"{path}: expected {want}, as {source} gives it, got {have}"
    return None

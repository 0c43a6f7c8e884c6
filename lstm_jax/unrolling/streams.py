"""``lj.stream``: a cell that is stepped by one small compiled program."""

from typing import Any

import jax
import jax.numpy as jnp

from lstm_jax._internal import cell_checks, checking
from lstm_jax._internal.dtypes import same_precision
from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core.cell import Cell, with_memory, without_memory
from lstm_jax.core.typing import BatchShape, Output, Params, State
from lstm_jax.unrolling.packed_step import packed_step


class Stream:
    """A cell with its weights and its state, which a call advances by one step.

        stream = lj.stream(cell, params)
        for x in source:
            y = stream(x)

    ``lj.stream`` makes it. A stream changes with each call: one stream for each thread. It cannot
    be copied or pickled; keep its ``state`` instead.
    """

    def __init__(self, cell: Cell, params: Params, batch_shape: BatchShape = ()):
        cell_checks.cell("cell", cell, memory=True)
        plain = without_memory(cell)
        size = cell_checks.input_size_of(plain, params)
        batch = checking.batch_shape("batch_shape", batch_shape)
        params = jax.tree.map(jnp.asarray, params)
        dtype = jnp.result_type(jnp.float32, *(leaf.dtype for leaf in jax.tree.leaves(params)))
        self._cell, self._params, self._x = (
            plain,
            params,
            jax.ShapeDtypeStruct((*batch, *plain.grid.inputs, size), dtype),
        )
        self._batch = batch
        initial = plain.initial_state(params, batch)
        prepared = plain.prepare(with_memory(cell, params), batch, None)
        packed = packed_step(plain, prepared, initial, jnp.zeros(self._x.shape, dtype))
        self._pack, self._unpack = jax.jit(packed.pack), jax.jit(packed.unpack)
        self._weights, self._initial = packed.weights, initial
        self._buffers = self._pack(initial)
        step = jax.jit(default_promotion(packed.step), donate_argnums=(1,))
        self._step = step.lower(self._weights, self._buffers, self._x).compile()

    def __call__(self, x: Any) -> Output:
        """Takes one step.

        Args:
            x: The input, ``[*batch, D]``, of float32, or of float64 if the params are.

        Returns:
            The output, ``[*batch, H]``.

        Raises:
            ValueError, TypeError: For an ``x`` of another shape or dtype; the state stays.
        """
        try:
            self._buffers, y = self._step(self._weights, self._buffers, x)
        except TypeError:  # the program takes exactly the shape and dtype that it was compiled for
            self._buffers, y = self._step(self._weights, self._buffers, self._checked(x))
        return y

    @property
    def state(self) -> State:
        """A copy of the state, as ``cell.step`` gives it; assign to it to continue from another."""
        return self._unpack(self._buffers)

    @state.setter
    def state(self, state: State) -> None:
        cell_checks.state(self._cell, self._params, state, self._batch)
        like = self._initial
        cast = jax.tree.map(lambda leaf, old: jnp.asarray(leaf, old.dtype), state, like)
        self._buffers = self._pack(cast)

    def reset(self, rows: Any = None) -> None:
        """Returns to the initial state.

        Args:
            rows: Booleans ``[*batch]``, True for the rows to reset; by default all.
        """
        if rows is None:
            self._buffers = self._pack(self._initial)
            return
        batch = self._batch
        rows = checking.array("rows", rows)
        if rows.dtype != jnp.bool_ or rows.shape != batch:
            raise WrongValue(
                f"rows: expected booleans of shape {batch}, got {rows.dtype.name} of {rows.shape}"
            )

        def choose(old: jax.Array, new: jax.Array) -> jax.Array:
            return jnp.where(jnp.expand_dims(rows, range(rows.ndim, old.ndim)), new, old)

        self._buffers = self._pack(jax.tree.map(choose, self.state, self._initial))

    def __repr__(self) -> str:
        return f"Stream({self._cell.name}, batch_shape={self._batch})"

    def _checked(self, x: Any) -> jax.Array:
        """``x`` in the dtype of the program."""
        shape = self._x.shape
        if isinstance(x, jax.core.Tracer):
            raise WrongType("x: expected an array with values, got a tracer; in jit, use cell.step")
        x = cell_checks.inputs(self._cell, "x", x)
        if x.shape != shape:
            axes = cell_checks.describe_inputs(self._cell)
            raise WrongValue(f"x: expected shape {shape}, {axes}, got {x.shape}")
        same_precision("x", x, self._params)
        return x.astype(self._x.dtype)


def stream(cell: Cell, params: Params, batch_shape: BatchShape = ()) -> Stream:
    """Compiles the step of ``cell`` for a stream that is read as it comes.

        stream = lj.stream(cell, params)
        y = stream(x)

    It computes what ``cell.step`` computes, up to rounding, in less time per step: the step is
    compiled once and ahead of time, work on the weights is done once, and the state stays in
    buffers that each step writes anew, a small state in a single one. There is no noise.

    Args:
        cell: A cell that can be stepped.
        params: Its params. A stream keeps them as they are now.
        batch_shape: The batch axes, by default none: a row alone.

    Returns:
        The stream, before its first step. ``stream.state`` is the state, ``stream.reset()`` starts
        anew.

    Raises:
        ValueError, TypeError: For a wrong argument, and for a layer that cannot be stepped.
    """
    return Stream(cell, params, batch_shape)

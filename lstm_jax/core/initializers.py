"""Initial weights and biases, gate by gate.

An initialiser is a function ``(key, rows, axis, dtype) -> [*rows, G*H]``: ``rows`` is ``(D,)``
for ``w_x``, ``(R,)`` for ``w_h`` and ``()`` for a bias (the weights of a convolution have the axes
of its kernel before these), and ``axis`` is the cell's packed gate axis. Each gate's block is drawn
separately, so that with "orthogonal" each block is orthogonal.
``lj.initialize`` gives a cell other initialisers.
"""

import contextlib
import contextvars
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.core.gates import GateAxis
from lstm_jax.core.recipes import factory

Initializer = Callable[[jax.Array, tuple[int, ...], GateAxis, Any], jax.Array]


_shapes_only = contextvars.ContextVar("shapes_only", default=False)


@contextlib.contextmanager
def shapes_only() -> Iterator[None]:
    """A context in which weights are zeros, for callers that need only their shapes.

    Tracing a draw, such as that of an orthogonal matrix, takes up to a second.
    """
    token = _shapes_only.set(True)
    try:
        yield
    finally:
        _shapes_only.reset(token)


@factory
def each_gate(draw: Callable[..., jax.Array]) -> Initializer:
    """Draws each gate by ``draw(key, shape, dtype)``, such as one of ``jax.nn.initializers``."""

    def initialize(key: jax.Array, rows: tuple[int, ...], axis: GateAxis, dtype: Any) -> jax.Array:
        if _shapes_only.get():
            return jnp.zeros((*rows, axis.width), dtype)
        keys = jax.random.split(key, len(axis.names))
        blocks = [
            draw(k, (*rows, width), dtype) for k, width in zip(keys, axis.widths, strict=True)
        ]
        return jnp.concatenate(blocks, axis=-1)

    return initialize


@factory
def glorot() -> Initializer:
    """Uniform with variance 2 / (rows + H) in each gate (Glorot & Bengio 2010, eq. 16).

    A bias has no fan; use ``uniform`` or ``constant`` for it.
    """
    return each_gate(jax.nn.initializers.glorot_uniform())


@factory
def lecun() -> Initializer:
    """Normal with variance 1 / rows (LeCun et al. 1998, eq. 16)."""
    return each_gate(jax.nn.initializers.lecun_normal())


@factory
def orthogonal(scale: float = 1.0) -> Initializer:
    """An orthogonal matrix times ``scale`` in each gate (Saxe et al. 2014)."""
    draw_wide = jax.nn.initializers.orthogonal(checking.real("scale", scale))

    def draw(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
        # JAX's QR decomposition supports only float32 and float64.
        return draw_wide(key, shape, jnp.promote_types(dtype, jnp.float32)).astype(dtype)

    return each_gate(draw)


@factory
def identity(scale: float = 1.0) -> Initializer:
    """The identity times ``scale`` in each gate; a rectangular matrix has it on its diagonal.

    The kernel of a convolution has it at its middle place, and zeros elsewhere.

    For the recurrent weights of a ReLU network: Le et al. 2015, section 2.
    """
    scale = checking.real("scale", scale)

    def draw(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
        if len(shape) < 2:
            raise WrongValue(f"identity: expected a matrix, got a bias of shape {shape}")
        *kernel, rows, columns = shape
        matrix = scale * jnp.eye(rows, columns, dtype=dtype)
        middle = tuple(places // 2 for places in kernel)
        return jnp.zeros(shape, dtype).at[middle].set(matrix) if kernel else matrix

    return each_gate(draw)


@factory
def uniform(scale: float) -> Initializer:
    """Uniform in ``[-scale, scale]``."""
    if checking.real("scale", scale) < 0:
        raise WrongValue(f"scale: expected a number of 0 or more, got {scale}")

    def draw(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
        return jax.random.uniform(key, shape, dtype, -scale, scale)

    return each_gate(draw)


@factory
def normal(scale: float) -> Initializer:
    """Normal with standard deviation ``scale``."""
    return each_gate(jax.nn.initializers.normal(checking.real("scale", scale)))


@factory
def constant(value: float) -> Initializer:
    """The same value everywhere."""
    return each_gate(jax.nn.initializers.constant(checking.real("value", value)))


@factory
def per_gate(
    default: Initializer | float | Sequence[float] = 0.0,
    **gates: Initializer | float | Sequence[float],
) -> Initializer:
    """A separate initialiser for each gate.

    Each is an initialiser, a number, or a list with one number per unit (such as the biases
    -1, -2, -3 that Hochreiter & Schmidhuber 1997 give to the output gates of their blocks).

    Args:
        default: For gates that are not named.
        **gates: By the name of the gate.

    Raises:
        ValueError: In ``init``, for a gate that the cell does not have.
    """

    def initialize(key: jax.Array, rows: tuple[int, ...], axis: GateAxis, dtype: Any) -> jax.Array:
        for name in gates:
            checking.choice("per_gate", name, axis.names)
        keys = jax.random.split(key, len(axis.names))
        blocks = []
        for k, name, width in zip(keys, axis.names, axis.widths, strict=True):
            value = gates.get(name, default)
            if callable(value):
                blocks.append(value(k, rows, GateAxis((name,), (width,)), dtype))
                continue
            values = checking.reals(f"per_gate: {name}", value, width)
            blocks.append(jnp.broadcast_to(values.astype(dtype), (*rows, width)))
        return jnp.concatenate(blocks, axis=-1)

    return initialize


@factory
def forget_bias(value: float = 1.0) -> Initializer:
    """Biases with which a cell keeps its memory at the start of training.

    The bias is ``value`` on a gate that keeps the memory while open, ``-value`` on one that
    overwrites it while open, and zero on the others. So an LSTM's forget gate gets ``value`` (Gers
    et al. 2000; Jozefowicz et al. 2015), and the coupled input gate of a CIFG, whose forget gate is
    one minus it, ``-value``.
    """
    value = checking.real("value", value)

    def initialize(key: jax.Array, rows: tuple[int, ...], axis: GateAxis, dtype: Any) -> jax.Array:
        biases = {name: sign * value for name, sign in axis.keeps}
        return per_gate(0.0, **biases)(key, rows, axis, dtype)

    return initialize


@factory
def chrono(t_max: float) -> Initializer:
    """Biases for dependencies of up to ``t_max`` steps (Tallec & Ollivier 2018, section 2).

    The bias of the gate that keeps the memory is ``log u``, with u uniform in [1, t_max - 1], drawn
    for each unit; it is negative if that gate overwrites the memory while open. The gate that
    writes beside it gets the negative of the same draws. Other biases are zero, as are all biases
    of a cell without a gate that keeps its memory (a plain RNN). The paper uses 1.5 T for the copy
    task and T for the adding task.
    """
    t_max = checking.real("t_max", t_max)
    if t_max <= 2:
        raise WrongValue(f"t_max: expected a number of steps above 2, got {t_max}")

    def initialize(key: jax.Array, rows: tuple[int, ...], axis: GateAxis, dtype: Any) -> jax.Array:
        def signed(sign: int) -> Initializer:
            def draw(_: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
                # Not the gate's own key: the biases of both gates come from the same draws.
                return sign * jnp.log(jax.random.uniform(key, shape, dtype, 1.0, t_max - 1.0))

            return each_gate(draw)

        gates = {name: signed(sign) for name, sign in axis.keeps}
        if gates:
            gates |= {name: signed(-1) for name in axis.writes}
        return per_gate(0.0, **gates)(key, rows, axis, dtype)

    return initialize


def packed(
    key: jax.Array,
    input_size: int,
    axis: GateAxis,
    dtype: Any,
    *,
    source_size: int | None = None,
    kernel_x: tuple[int, ...] = (),
    kernel_h: tuple[int, ...] = (),
    w_x: Initializer | None = None,
    w_h: Initializer | None = None,
    b: Initializer | None = None,
) -> dict[str, jax.Array]:
    """The packed entries that all gated cells have: ``w_x``, ``w_h`` and ``b``.

    The default initialisers are Glorot for ``w_x``, orthogonal for ``w_h`` and zero for ``b``.
    ``source_size`` is the number R of rows of ``w_h``, by default the width of the first gate.
    The weights of convolutions have the axes of a kernel before these.
    """
    key_x, key_h, key_b = jax.random.split(key, 3)
    source_size = axis.widths[0] if source_size is None else source_size
    return {
        "w_x": (w_x or glorot())(key_x, (*kernel_x, input_size), axis, dtype),
        "w_h": (w_h or orthogonal())(key_h, (*kernel_h, source_size), axis, dtype),
        "b": (b or constant(0.0))(key_b, (), axis, dtype),
    }


def packed_input(
    key: jax.Array,
    input_size: int,
    axis: GateAxis,
    dtype: Any,
    *,
    w_x: Initializer | None = None,
    b: Initializer | None = None,
) -> dict[str, jax.Array]:
    """The packed entries of cells without recurrent weights: ``w_x`` and ``b``."""
    key_x, key_b = jax.random.split(key)
    return {
        "w_x": (w_x or glorot())(key_x, (input_size,), axis, dtype),
        "b": (b or constant(0.0))(key_b, (), axis, dtype),
    }

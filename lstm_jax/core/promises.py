"""Checks of what a form promises, made when a cell is built, since methods rely on it.

``additive`` promises that ``pointwise`` reads only the sum ``z + r``, in all or in the leading
columns. With a false promise, "deferred" would silently compute other numbers than "scan".
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np

from lstm_jax._internal.errors import ArgumentError, WrongType, WrongValue
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core.forms import Gated
from lstm_jax.core.initializers import shapes_only
from lstm_jax.core.linearity import reads_only_sums

SCALES = (0.3, 3.0, 30.0, 300.0)  # of the random points
TOLERANCE = 1e-6

_kept: dict[Gated, None] = {}  # forms whose promise has been verified
KEPT = 4096  # the most forms that are remembered


@default_promotion
def check_additive(
    name: str, form: Gated, size: int, init: Callable[..., Any], state: Callable[..., Any]
) -> None:
    """Refuses a gated cell that breaks its promise.

    First ``pointwise`` is analysed as a program, which takes milliseconds. If that proves nothing,
    its values and gradients are compared at random points.
    """
    if not form.additive:
        return
    key = jax.random.key(0)
    for inputs in (1, size):  # some cells accept only inputs of their own size
        try:
            with shapes_only():
                params = jax.eval_shape(lambda k, n=inputs: init(k, n, jnp.float32), key)
                start = jax.eval_shape(state, params)
        except (ArgumentError, ValueError, TypeError):
            continue
        check_promise(name, form, params, start)
        return


@default_promotion
def check_promise(name: str, form: Gated, params: Any, state: Any) -> None:
    """Refuses a form that breaks its promise; each form is checked once.

    Only the shapes of ``params``, which are prepared, and ``state`` are read.
    """
    if not form.additive or form in _kept:
        return
    shapes = jax.tree.map(_shape_of, (params, state))
    leaves = jax.tree.leaves(shapes)
    if any(jax.export.is_symbolic_dim(n) for leaf in leaves for n in leaf.shape):
        return  # an exported program, whose cell has been run with numbers before

    def widths(params: Any, state: Any) -> tuple[jax.Array, jax.Array]:
        weights, vectors = form.split(params)
        return weights.w_x, form.source(vectors, state)

    w_x, source = jax.eval_shape(widths, *shapes)
    width = w_x.shape[-1]
    columns = width if form.additive is True else form.additive
    if not 0 <= columns <= width:
        raise WrongValue(
            f"additive: expected True, False, or a number of columns up to {width}, "
            f"got {form.additive} ({name})"
        )
    z = jax.ShapeDtypeStruct((*source.shape[:-1], width), jnp.float32)

    def step(params: Any, state: Any, z: jax.Array, r: jax.Array) -> Any:
        new, y, _ = form.pointwise(form.split(params)[1], state, z, r)
        return new, y

    if not reads_only_sums(jax.make_jaxpr(step)(*shapes, z, z).jaxpr, columns):
        differs = _find_difference(step, shapes, z.shape, columns)
        if differs is not None:
            which = "z + r" if columns == width else f"z + r in its first {columns} columns"
            raise WrongValue(
                f"additive: expected a pointwise that reads only {which}, as additive="
                f"{form.additive} promises, got one whose {differs} differ for the same sum "
                f"({name})"
            )
    while len(_kept) >= KEPT:
        _kept.pop(next(iter(_kept)), None)
    _kept[form] = None


def check_option(additive: Any) -> bool | int:
    """Returns ``additive`` as a bool or an int; anything else is an error."""
    if isinstance(additive, bool | np.bool_):
        return bool(additive)
    if isinstance(additive, int | np.integer):
        return int(additive)
    raise WrongType(f"additive: expected True, False, or a number of columns, got {additive!r}")


def _shape_of(leaf: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)


def _find_difference(
    step: Callable[..., Any], shapes: Any, shape: tuple[int, ...], columns: int
) -> str | None:
    """What differs between two splits of the same sums: "values", "gradients", or None."""
    rng = np.random.default_rng(0)
    # In float64, since rounding must stay far below TOLERANCE. Random points may overflow.
    with (
        jax.ensure_compile_time_eval(),
        jax.enable_x64(True),
        jax.debug_nans(False),
        jax.debug_infs(False),
    ):
        params, state = jax.tree.map(lambda leaf: _draw(rng, leaf), shapes)

        @jax.jit
        def probe(z: Any, r: Any) -> tuple[Any, Any, Any]:
            def weighted_sum(z: jax.Array, r: jax.Array) -> tuple[jax.Array, Any]:
                outs = [a for a in jax.tree.leaves(step(params, state, z, r)) if _is_float(a)]
                total = sum(jnp.vdot(jnp.cos(jnp.arange(a.size)), a.ravel()) for a in outs)
                return jnp.asarray(total), outs

            (d_z, d_r), outs = jax.grad(weighted_sum, (0, 1), has_aux=True)(z, r)
            return outs, d_z[..., :columns], d_r[..., :columns]

        for scale in SCALES:
            z, r, shift = (scale * rng.normal(size=shape) for _ in range(3))
            total, none = np.array(z), np.zeros(shape)
            total[..., :columns] += r[..., :columns]
            none[..., columns:] = r[..., columns:]
            moved, back = np.array(z), np.array(r)
            moved[..., :columns] += shift[..., :columns]
            back[..., :columns] -= shift[..., :columns]
            outs, d_z, d_r = probe(z, r)
            if not all(
                _all_close(outs, probe(*other)[0]) for other in ((total, none), (moved, back))
            ):
                return "values"
            if not _all_close(d_z, d_r):
                return "gradients"
    return None


def _is_float(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.floating)


def _draw(rng: np.random.Generator, leaf: jax.ShapeDtypeStruct) -> Any:
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.split(jax.random.key(0), leaf.shape)
    if _is_float(leaf):
        return jnp.asarray(0.5 * rng.normal(size=leaf.shape))
    return jnp.zeros(leaf.shape, leaf.dtype)


def _all_close(one: Any, other: Any) -> bool:
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(np.allclose(a, b, TOLERANCE, TOLERANCE, equal_nan=True) for a, b in pairs)

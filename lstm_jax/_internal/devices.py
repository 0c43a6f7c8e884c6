"""Many devices: a batch spread over them, and the cores of a CPU as devices."""

import inspect
import os
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, NamedSharding, PartitionSpec, SingleDeviceSharding

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongType, WrongValue

AXIS = "batch"
WHOLE = PartitionSpec()  # on every device


def use_cpu_cores(count: int | None = None) -> int:
    """Makes the cores of the CPU devices of JAX, for ``data_parallel`` to use: how many.

    count: of devices; None for one a core that this process may run on. They share the threads
        of one pool, so more than the cores is not faster.

    Call it before JAX is used: before the first array, and before ``jax.devices()``. Raises
    RuntimeError where it is too late, unless there are as many devices as wanted. GPUs and TPUs
    are not concerned.
    """
    if count is None:
        allowed = getattr(os, "sched_getaffinity", None)  # Linux alone has it
        count = len(allowed(0)) if allowed else os.cpu_count() or 1
    count = checking.positive_int("count", count)
    try:
        jax.config.update("jax_num_cpu_devices", count)
    except RuntimeError:
        here = jax.local_device_count("cpu")
        if here != count:
            raise RuntimeError(
                "count: expected a call before the first array and before jax.devices(), "
                f"got {count}, but JAX has been used and has {here} CPU devices"
            ) from None
    return count


def data_parallel(
    loss: Callable[..., Any],
    argnums: int | tuple[int, ...] = 0,
    *,
    batch_axes: Any,
    reduce: str = "mean",
    devices: Sequence[jax.Device] | None = None,
) -> Callable[..., Any]:
    """``jax.value_and_grad(loss, argnums)``, jitted, with the batch spread over devices: each runs
    ``loss`` on its share of the rows; the value and the gradients are those of the whole batch.

        lj.use_cpu_cores()  # on a CPU, before JAX is used: each core is a device

        def loss(params, xs, targets):  # xs [T, B, D], targets [B, H]: the rows it is given
            _, ys = lj.unroll(cell, params, xs)
            return jnp.mean((ys[-1] - targets) ** 2)

        value_and_grad = lj.data_parallel(loss, batch_axes=(None, 1, 0))

        @jax.jit
        def step(params, opt_state, xs, targets):
            value, gradient = value_and_grad(params, xs, targets)
            updates, opt_state = optimizer.update(gradient, opt_state, params)
            return optax.apply_updates(params, updates), opt_state, value

    loss: ``(*arrays) -> []``, a mean or a sum over the rows that it is given. A mean over the
        steps of ``lengths`` is none over rows, and differs from device to device: return the sum
        under ``reduce="sum"``, divided by the number of steps of the whole batch (an argument).
        What is no sum over rows, such as a penalty on weights, a sum counts once a device.
    argnums: which arguments the gradients are for; those of the batch, such as inputs, too.
    batch_axes: for each argument the axis of its batch, counted from 0, or None for what every
        device needs whole, such as params. An entry may be a tree that begins as the argument
        does: ``Batch(xs=1, targets=0)``.
    reduce: what ``loss`` does with its rows, "mean" or "sum".
    devices: None for all of this process. With one device it is plain ``jax.jit``.

    The rows must be a multiple of the devices: nothing is padded or dropped. The devices exchange
    values and gradients once, at the end, and nothing from step to step. Arguments may be ordinary
    arrays and are sent where they are needed; gradients come back as their arguments are spread,
    whole on every device or by rows. A jitted step of your own, as above, is compiled anew when
    its params first come back from all devices.

    Noise: a key that every device gets whole draws the same noise for each device's rows. Give
    keys to the rows, ``jax.random.split(key, B)`` with batch axis 0: ``key=keys[0]`` in ``loss``
    is then a key of its own for each device, and the noise depends on how many there are; to have
    it depend on the row alone, unroll each row with its key under ``jax.vmap``.

    A scan of your own in ``loss`` must start from values that vary over devices as its results
    do (``0 * xs[0]``, not ``jnp.zeros``), or JAX refuses it; ``lj.unroll`` sees to that itself. Nor
    does JAX take the call under ``jax.set_mesh``, since it has a mesh of its own.

    Raises ValueError or TypeError, naming the argument: here, or in the first call with a shape.
    """
    checking.choice("reduce", reduce, ("mean", "sum"))
    specs = _partition_specs(batch_axes)
    wanted = _check_argnums(argnums, len(specs))
    chosen = jax.local_devices() if devices is None else _check_devices(devices)
    count = len(chosen)
    names = _argument_names(loss, len(specs))

    def scalar(*args: Any) -> Any:
        value = loss(*args)
        if not isinstance(value, jax.Array) or value.shape != ():
            got = f"shape {value.shape}" if isinstance(value, jax.Array) else repr(value)
            raise WrongValue(f"loss: expected one number, an array [], got a result of {got}")
        return value

    def on_each(*args: Any) -> Any:
        # What is whole varies from here on, so that no sum over devices, which the gradient of
        # its use would be, stands inside a loop.
        value, gradients = jax.value_and_grad(scalar, wanted)(*_to_varying(args))

        def sum_over_devices(leaf: jax.Array, spec: PartitionSpec = WHOLE) -> jax.Array:
            return jax.lax.psum(_to_varying(leaf), AXIS) if spec == WHOLE else leaf

        by_leaf = jax.tree.broadcast(tuple(specs[i] for i in wanted), gradients)
        sums = (sum_over_devices(value), jax.tree.map(sum_over_devices, gradients, by_leaf))
        share = count if reduce == "mean" else 1
        return jax.tree.map(lambda leaf: leaf / share, sums)

    run: Any = jax.value_and_grad(scalar, wanted)
    homes: Any = None
    if count > 1:
        mesh = jax.make_mesh((count,), (AXIS,), axis_types=(AxisType.Auto,), devices=chosen)
        out_specs = (WHOLE, tuple(specs[i] for i in wanted))
        run = jax.shard_map(on_each, mesh=mesh, in_specs=specs, out_specs=out_specs)
        homes = jax.tree.map(lambda spec: NamedSharding(mesh, spec), specs)
    elif devices is not None:
        homes = SingleDeviceSharding(chosen[0])
    run = jax.jit(run)

    def value_and_grad(*args: Any) -> Any:
        _check_rows(names, specs, args, count)
        if homes is not None:  # so that a first call's arrays and its results run one program
            args = jax.device_put(args, homes)
        value, gradients = run(*args)
        return value, gradients if isinstance(argnums, tuple) else gradients[0]

    return value_and_grad


def _to_varying(tree: Any) -> Any:
    """``tree`` as values that may differ between devices."""

    def cast(leaf: jax.Array) -> jax.Array:
        if AXIS in jax.typeof(leaf).mat.varying:
            return leaf
        return jax.lax.pcast(leaf, AXIS, to="varying")

    return jax.tree.map(cast, tree)


def _partition_specs(batch_axes: Any) -> tuple[Any, ...]:
    """``batch_axes`` with a PartitionSpec, which is a leaf, for each axis or None."""
    if not isinstance(batch_axes, tuple | list):
        raise WrongType(
            "batch_axes: expected a tuple with an entry for each argument of loss, "
            f"such as (None, 1), got {batch_axes!r}"
        )

    def spec(axis: Any) -> PartitionSpec:
        if axis is None:
            return WHOLE
        if isinstance(axis, bool) or not isinstance(axis, int) or axis < 0:
            raise WrongValue(f"batch_axes: expected axes from 0 on, or None, got {axis!r}")
        return PartitionSpec(*[None] * axis, AXIS)

    specs = tuple(jax.tree.map(spec, entry, is_leaf=lambda a: a is None) for entry in batch_axes)
    if all(spec == WHOLE for spec in jax.tree.leaves(specs)):
        raise WrongValue(
            f"batch_axes: expected an axis for one argument at least, got {batch_axes!r}"
        )
    return specs


def _check_argnums(argnums: Any, count: int) -> tuple[int, ...]:
    numbers = argnums if isinstance(argnums, tuple) else (argnums,)
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int):
            raise WrongType(f"argnums: expected an integer, or a tuple of them, got {argnums!r}")
        if not 0 <= number < count:
            raise WrongValue(f"argnums: expected 0 to {count - 1}, as in batch_axes, got {number}")
    if not numbers:
        raise WrongValue("argnums: expected one argument at least, got ()")
    return numbers


def _check_devices(devices: Any) -> tuple[jax.Device, ...]:
    given = isinstance(devices, Sequence) and all(isinstance(d, jax.Device) for d in devices)
    if not given:
        raise WrongType(f"devices: expected devices, such as jax.devices()[:2], got {devices!r}")
    if not devices or len(set(devices)) != len(devices):
        raise WrongValue(f"devices: expected at least one, each once, got {list(devices)}")
    return tuple(devices)


def _argument_names(loss: Any, count: int) -> list[str]:
    """The arguments as ``loss`` calls them, for errors."""
    try:
        found = inspect.signature(loss).parameters.values()
    except (TypeError, ValueError):
        found = {}.values()
    names = [p.name for p in found if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return [*names, *(f"argument {i}" for i in range(len(names), count))][:count]


def _check_rows(names: list[str], specs: tuple, args: tuple, count: int) -> None:
    """Every argument has a batch where ``specs`` says, of the same size, that ``count`` divides."""
    if len(args) != len(specs):
        raise WrongValue(
            f"batch_axes: expected one for each, got {len(specs)} entries for {len(args)} arguments"
        )
    first: tuple[str, int] | None = None
    for name, spec, arg in zip(names, specs, args, strict=True):
        try:
            by_leaf = jax.tree.broadcast(spec, arg)
        except ValueError:
            got, takes = jax.tree.structure(spec), jax.tree.structure(arg)
            raise WrongValue(
                f"batch_axes: expected a tree that begins as {name}, {takes}, got {got} for {name}"
            ) from None
        for (path, leaf), where in zip(
            jax.tree_util.tree_leaves_with_path(arg), jax.tree.leaves(by_leaf), strict=True
        ):
            if where == WHOLE:
                continue
            what, axis = name + jax.tree_util.keystr(path), len(where) - 1
            if axis >= jnp.ndim(leaf):
                raise WrongValue(
                    f"batch_axes: expected one of its {jnp.ndim(leaf)} axes, or None, got "
                    f"{axis} for {what} of shape {jnp.shape(leaf)}"
                )
            rows = jnp.shape(leaf)[axis]
            first = first or (what, rows)
            if rows != first[1]:
                raise WrongValue(
                    f"{what}: expected {first[1]} rows along axis {axis}, as {first[0]} has, "
                    f"got {rows}"
                )
            if rows % count:
                raise WrongValue(
                    f"{what}: expected a multiple of {count} rows along axis {axis}, the number of "
                    f"devices, got {rows}"
                )
    if first is None:
        raise WrongValue("batch_axes: expected an axis for one at least, got no array with a batch")

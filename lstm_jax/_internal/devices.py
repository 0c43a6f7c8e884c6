"""Data parallelism: a batch spread over devices, and the cores of a CPU as devices."""

import inspect
import os
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, NamedSharding, PartitionSpec, SingleDeviceSharding

from lstm_jax._internal import checking, placing
from lstm_jax._internal.errors import WrongType, WrongValue

AXIS = "batch"
WHOLE = PartitionSpec()  # on every device


def use_cpu_cores(count: int | None = None) -> int:
    """Makes each CPU core a JAX device, for ``data_parallel`` to use.

    Call it before JAX is used: before the first array, and before ``jax.devices()``. GPUs and TPUs
    are not affected.

    Args:
        count: The number of devices; by default one per core that this process may run on. They
            share one pool of threads, so more devices than cores are not faster.

    Returns:
        The number of CPU devices.

    Raises:
        RuntimeError: If JAX has been used and has another number of CPU devices.
    """
    if count is None:
        allowed = getattr(os, "sched_getaffinity", None)  # only on Linux
        count = len(allowed(0)) if allowed else os.cpu_count() or 1
    count = checking.positive_int("count", count)
    try:
        jax.config.update("jax_num_cpu_devices", count)
    except RuntimeError:
        here = jax.local_device_count("cpu")
        if here != count:
            raise RuntimeError(
                f"count: expected {here}, the number of CPU devices, since JAX is already in "
                f"use, got {count}; call use_cpu_cores before the first array and jax.devices()"
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
    """``jax.value_and_grad(loss, argnums)``, jitted, with the batch spread over devices.

    Each device runs ``loss`` on its share of the rows. The value and the gradients are those of
    the whole batch.

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

    The number of rows must be a multiple of the number of devices: nothing is padded or dropped.
    The devices exchange values and gradients once, at the end, and nothing from step to step.
    Arguments may be ordinary arrays and are sent where they are needed. Gradients are placed as
    their arguments are, whole on every device or by rows. A jitted step of your own, as above, is
    compiled a second time when its params first come back from all devices.

    In a job of several processes every process calls this with the same whole arguments, of which
    it places the rows of its own devices. The results are arrays over all processes: those that are
    whole on every device, such as the value, can be read in each.

    Noise: a key that every device gets whole draws the same noise for the rows of each device.
    Instead, give one key per row, ``jax.random.split(key, B)`` with batch axis 0. In ``loss``,
    ``key=keys[0]`` is then a different key on each device, and the noise depends on the number of
    devices; to make it depend on the row alone, unroll each row with its key under ``jax.vmap``.

    A scan of your own in ``loss`` must start from values that vary over devices as its results
    do (``0 * xs[0]``, not ``jnp.zeros``), or JAX refuses it; ``lj.unroll`` does so itself. JAX also
    refuses the call under ``jax.set_mesh``, since it has a mesh of its own.

    Args:
        loss: ``(*arrays) -> []``, a mean or a sum over its rows. A mean over the steps of
            ``lengths`` is not a mean over rows, and differs from device to device: return the sum
            under ``reduce="sum"``, divided by the number of steps of the whole batch (an
            argument). Under "sum", a term that is not a sum over rows, such as a penalty on
            weights, counts once per device.
        argnums: The arguments to differentiate by; those of the batch, such as inputs, are allowed.
        batch_axes: For each argument the axis of its batch, counted from 0, or None if every
            device needs it whole, such as params. An entry may be a tree prefix of the argument:
            ``Batch(xs=1, targets=0)``.
        reduce: What ``loss`` does with its rows, "mean" or "sum".
        devices: The devices; by default all, of all processes (``lj.initialize_hosts``). One device
            means plain ``jax.jit``.

    Returns:
        ``(*arrays) -> (value, gradients)``.

    Raises:
        ValueError, TypeError: For a wrong argument, here or in the first call with a shape.
    """
    checking.choice("reduce", reduce, ("mean", "sum"))
    specs = _partition_specs(batch_axes)
    wanted = _check_argnums(argnums, len(specs))
    chosen = jax.devices() if devices is None else _check_devices(devices)
    count = len(chosen)
    names = _argument_names(loss, len(specs))

    def scalar(*args: Any) -> Any:
        value = loss(*args)
        if not isinstance(value, jax.Array) or value.shape != ():
            got = f"shape {value.shape}" if isinstance(value, jax.Array) else repr(value)
            raise WrongValue(f"loss: expected a scalar array as its result, got {got}")
        return value

    def on_each(*args: Any) -> Any:
        # Whole arguments are marked as varying before any use. Otherwise the gradient of their
        # use, which is a sum over devices, would stand inside a loop.
        value, gradients = jax.value_and_grad(scalar, wanted)(*_to_varying(args))

        def sum_over_devices(leaf: jax.Array, spec: PartitionSpec = WHOLE) -> jax.Array:
            return jax.lax.psum(_to_varying(leaf), AXIS) if spec == WHOLE else leaf

        by_leaf = jax.tree.broadcast(tuple(specs[i] for i in wanted), gradients)
        sums = (sum_over_devices(value), jax.tree.map(sum_over_devices, gradients, by_leaf))
        share = count if reduce == "mean" else 1
        return jax.tree.map(lambda leaf: leaf / share, sums)

    run: Any = jax.value_and_grad(scalar, wanted)
    shardings: Any = None
    if count > 1:
        mesh = jax.make_mesh((count,), (AXIS,), axis_types=(AxisType.Auto,), devices=chosen)
        out_specs = (WHOLE, tuple(specs[i] for i in wanted))
        run = jax.shard_map(on_each, mesh=mesh, in_specs=specs, out_specs=out_specs)
        shardings = jax.tree.map(lambda spec: NamedSharding(mesh, spec), specs)
    elif devices is not None:
        shardings = SingleDeviceSharding(chosen[0])
    run = jax.jit(run)

    def value_and_grad(*args: Any) -> Any:
        _check_rows(names, specs, args, count)
        if shardings is not None:  # one program for a first call's arrays and for its results
            args = _place(args, shardings)
        value, gradients = run(*args)
        return value, gradients if isinstance(argnums, tuple) else gradients[0]

    return value_and_grad


def _place(args: tuple[Any, ...], shardings: Any) -> Any:
    if all(sharding.is_fully_addressable for sharding in jax.tree.leaves(shardings)):
        return jax.device_put(args, shardings)
    return jax.tree.map(placing.place, args, jax.tree.broadcast(shardings, args))


def _to_varying(tree: Any) -> Any:
    """``tree`` marked as values that may differ between devices."""

    def cast(leaf: jax.Array) -> jax.Array:
        if AXIS in jax.typeof(leaf).mat.varying:
            return leaf
        return jax.lax.pcast(leaf, AXIS, to="varying")

    return jax.tree.map(cast, tree)


def _partition_specs(batch_axes: Any) -> tuple[Any, ...]:
    """``batch_axes`` with a PartitionSpec, which is a leaf, in place of each axis or None."""
    if not isinstance(batch_axes, tuple | list):
        raise WrongType(
            "batch_axes: expected a tuple with an entry for each argument of loss, "
            f"such as (None, 1), got {batch_axes!r}"
        )

    def spec(axis: Any) -> PartitionSpec:
        if axis is None:
            return WHOLE
        if isinstance(axis, bool) or not isinstance(axis, int) or axis < 0:
            raise WrongValue(f"batch_axes: expected axes of 0 or more, or None, got {axis!r}")
        return PartitionSpec(*[None] * axis, AXIS)

    specs = tuple(jax.tree.map(spec, entry, is_leaf=lambda a: a is None) for entry in batch_axes)
    if all(spec == WHOLE for spec in jax.tree.leaves(specs)):
        raise WrongValue(
            f"batch_axes: expected an axis for at least one argument, got {batch_axes!r}"
        )
    return specs


def _check_argnums(argnums: Any, count: int) -> tuple[int, ...]:
    """``argnums`` as a tuple."""
    numbers = argnums if isinstance(argnums, tuple) else (argnums,)
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int):
            raise WrongType(f"argnums: expected an integer, or a tuple of them, got {argnums!r}")
        if not 0 <= number < count:
            raise WrongValue(f"argnums: expected numbers from 0 to {count - 1}, got {number}")
    if not numbers:
        raise WrongValue("argnums: expected at least one argument, got ()")
    return numbers


def _check_devices(devices: Any) -> tuple[jax.Device, ...]:
    """``devices`` as a tuple."""
    if not isinstance(devices, Sequence) or not all(isinstance(d, jax.Device) for d in devices):
        raise WrongType(f"devices: expected devices, such as jax.devices()[:2], got {devices!r}")
    if not devices or len(set(devices)) != len(devices):
        raise WrongValue(f"devices: expected one or more, each once, got {list(devices)}")
    return tuple(devices)


def _argument_names(loss: Any, count: int) -> list[str]:
    """The names of the arguments in the signature of ``loss``, for errors."""
    try:
        found = inspect.signature(loss).parameters.values()
    except (TypeError, ValueError):
        found = {}.values()
    names = [p.name for p in found if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return [*names, *(f"argument {i}" for i in range(len(names), count))][:count]


def _check_rows(
    names: list[str], specs: tuple[Any, ...], args: tuple[Any, ...], count: int
) -> None:
    """Checks that all batch axes exist and have one size, a multiple of ``count``."""
    if len(args) != len(specs):
        raise WrongValue(
            f"batch_axes: expected {len(args)} entries, one per argument, got {len(specs)}"
        )
    first: tuple[str, int] | None = None
    for name, spec, arg in zip(names, specs, args, strict=True):
        try:
            by_leaf = jax.tree.broadcast(spec, arg)
        except ValueError:
            got, expected = jax.tree.structure(spec), jax.tree.structure(arg)
            raise WrongValue(
                f"batch_axes: expected a tree prefix of {name}, {expected}, got {got}"
            ) from None
        for (path, leaf), where in zip(
            jax.tree_util.tree_leaves_with_path(arg), jax.tree.leaves(by_leaf), strict=True
        ):
            if where == WHOLE:
                continue
            what, axis = name + jax.tree_util.keystr(path), len(where) - 1
            if axis >= jnp.ndim(leaf):
                raise WrongValue(
                    f"batch_axes: expected an axis of {what}, which has shape "
                    f"{jnp.shape(leaf)}, or None, got {axis}"
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
        raise WrongValue("batch_axes: expected an axis of at least one array, got none")

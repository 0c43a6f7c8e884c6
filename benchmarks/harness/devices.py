"""The batch spread over several devices. Ours has ``lj.data_parallel``; the peers get the same
program without JAX's check of what varies over devices, which their scans do not pass."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

AXIS = "batch"


def data_parallel(
    loss: Callable[..., Any],
    argnums: int | tuple[int, ...] = 0,
    *,
    batch_axes: Sequence[int | None],
    devices: Sequence[jax.Device] | None = None,
) -> Any:
    """A jitted ``jax.value_and_grad(loss, argnums)`` whose batch is spread over ``devices``.

    loss: a sum over the batch. The gradients of what is not spread are summed once, at the end:
        a sum within the loop over time would cost one exchange a step.
    batch_axes: for each argument of ``loss`` the axis of its batch; None for weights.
    """
    wanted = (argnums,) if isinstance(argnums, int) else argnums
    mesh, specs = mesh_of(devices), [spec(axis) for axis in batch_axes]

    def local(*args: Any) -> Any:
        value, gradients = jax.value_and_grad(loss, wanted)(*args)
        summed = tuple(
            jax.lax.psum(gradient, AXIS) if batch_axes[i] is None else gradient
            for i, gradient in zip(wanted, gradients, strict=True)
        )
        return jax.lax.psum(value, AXIS), summed[0] if isinstance(argnums, int) else summed

    out = tuple(specs[i] for i in wanted)
    out_specs = (PartitionSpec(), out[0] if isinstance(argnums, int) else out)
    # Unchecked, because the peers' scans start from zeros that do not vary.
    spread = jax.shard_map(
        local, mesh=mesh, in_specs=tuple(specs), out_specs=out_specs, check_vma=False
    )
    return jax.jit(spread)


def forward_parallel(
    run: Callable[[Any, Any], Any], batch_axis: int, devices: Sequence[jax.Device]
) -> Any:
    """``run(params, xs) -> ys`` jitted, with the batch spread over ``devices``."""
    rows = spec(batch_axis)
    return jax.jit(
        jax.shard_map(
            run,
            mesh=mesh_of(devices),
            in_specs=(PartitionSpec(), rows),
            out_specs=rows,
            check_vma=False,
        )
    )


def placed(tree: Any, axis: int | None, devices: Sequence[jax.Device]) -> Any:
    """``tree`` on ``devices``: spread along ``axis``, or a copy on each where that is None."""
    if len(devices) == 1:
        return jax.device_put(tree, devices[0])
    return jax.device_put(tree, NamedSharding(mesh_of(devices), spec(axis)))


def mesh_of(devices: Sequence[jax.Device] | None) -> Mesh:
    return Mesh(np.array(jax.devices() if devices is None else devices), (AXIS,))


def spec(axis: int | None) -> PartitionSpec:
    return PartitionSpec() if axis is None else PartitionSpec(*[None] * axis, AXIS)

"""Spreads the batch over several devices.

lstm_jax has ``lj.data_parallel`` for this. The peers get the same program without JAX's check of
what varies over devices, which their scans do not pass.
"""

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

    The gradients of arguments that are not spread are summed over devices once, at the end; a sum
    inside the loop over time would cost one exchange per step.

    Args:
        loss: A sum over the batch.
        argnums: The arguments to differentiate.
        batch_axes: For each argument of ``loss`` its batch axis; None for weights.
        devices: All devices if not given.
    """
    indices = (argnums,) if isinstance(argnums, int) else argnums
    mesh, specs = make_mesh(devices), [partition_spec(axis) for axis in batch_axes]

    def local(*args: Any) -> Any:
        value, gradients = jax.value_and_grad(loss, indices)(*args)
        summed = tuple(
            jax.lax.psum(gradient, AXIS) if batch_axes[i] is None else gradient
            for i, gradient in zip(indices, gradients, strict=True)
        )
        return jax.lax.psum(value, AXIS), summed[0] if isinstance(argnums, int) else summed

    out = tuple(specs[i] for i in indices)
    out_specs = (PartitionSpec(), out[0] if isinstance(argnums, int) else out)
    # Unchecked, because the peers' scans start from zeros that do not vary.
    spread = jax.shard_map(
        local, mesh=mesh, in_specs=tuple(specs), out_specs=out_specs, check_vma=False
    )
    return jax.jit(spread)


def forward_parallel(
    run: Callable[[Any, Any], Any], batch_axis: int, devices: Sequence[jax.Device]
) -> Any:
    """``run(params, xs) -> ys``, jitted, with the batch spread over ``devices``."""
    rows = partition_spec(batch_axis)
    return jax.jit(
        jax.shard_map(
            run,
            mesh=make_mesh(devices),
            in_specs=(PartitionSpec(), rows),
            out_specs=rows,
            check_vma=False,
        )
    )


def place(tree: Any, axis: int | None, devices: Sequence[jax.Device]) -> Any:
    """Puts ``tree`` on ``devices``: spread along ``axis``, or a copy on each if that is None."""
    if len(devices) == 1:
        return jax.device_put(tree, devices[0])
    return jax.device_put(tree, NamedSharding(make_mesh(devices), partition_spec(axis)))


def make_mesh(devices: Sequence[jax.Device] | None) -> Mesh:
    return Mesh(np.array(jax.devices() if devices is None else devices), (AXIS,))


def partition_spec(axis: int | None) -> PartitionSpec:
    return PartitionSpec() if axis is None else PartitionSpec(*[None] * axis, AXIS)

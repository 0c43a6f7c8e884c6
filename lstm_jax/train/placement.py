"""Where ``fit`` computes: on one device, or with each batch spread over several."""

from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from lstm_jax._internal import placing
from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax.tasks.task import Sequences
from lstm_jax.train.data.rows import DataBatch
from lstm_jax.train.data.streams import Window

AXIS = "batch"
NO_ROWS = -1
SPECS = {NO_ROWS: PartitionSpec(), 0: PartitionSpec(AXIS), 1: PartitionSpec(None, AXIS)}


class Placement(NamedTuple):
    """The devices of a training; every function here is called by all processes.

    A step is one program over all devices. All but the batch is whole on each of them, the batch
    is split by rows, and the compiler adds the exchange of gradients: the program means the same
    as on one device, noise included.

    mesh: the devices; None for JAX's default device alone.
    """

    mesh: Mesh | None = None

    @property
    def devices(self) -> int:
        """The number of devices."""
        return 1 if self.mesh is None else self.mesh.size

    @property
    def whole(self) -> NamedSharding | None:
        """Of arrays that every device has; None to leave the choice to JAX."""
        return None if self.mesh is None else NamedSharding(self.mesh, PartitionSpec())

    def put(self, tree: Any) -> Any:
        """``tree``, the same in all processes, on every device."""
        whole = self.whole
        if whole is None:
            return tree
        return jax.tree.map(lambda leaf: placing.place(leaf, whole), tree)

    def put_batch(self, batch: Any, data: Any) -> Any:
        """A batch of ``data``, a ``DataBatch`` or a ``Window`` of NumPy arrays, with some of its
        rows on each device; all of it on every device if the rows cannot be split evenly."""
        if self.mesh is None:
            return batch
        axes = _batch_axes(batch, data)
        is_even = np.shape(batch.counts)[axes.counts] % self.devices == 0

        def put(axis: int, leaf: Any) -> Any:
            assert self.mesh is not None
            spec = SPECS[axis] if is_even else PartitionSpec()
            return placing.place(leaf, NamedSharding(self.mesh, spec))

        return jax.tree.map(put, axes, batch)

    def take(self, tree: Any) -> Any:
        """What is whole on every device, as ordinary arrays of each process."""
        return tree if self.mesh is None else jax.tree.map(placing.to_local, tree)


def _batch_axes(batch: Any, data: Any) -> Any:
    """The axis of the rows for each leaf of a batch; NO_ROWS for one that has none."""

    def of_column(name: str, values: Any) -> Any:
        if isinstance(values, Sequences):
            return Sequences(1, 0)  # type: ignore[arg-type]
        return 0 if name in data.static_columns else 1

    xs = batch.xs
    if isinstance(xs, dict):
        found: Any = {name: of_column(name, values) for name, values in xs.items()}
    else:
        found = of_column("", xs)
    if isinstance(batch, Window):
        return Window(found, 1, 1, None if batch.resets is None else 1, NO_ROWS)
    of_targets = 0 if data.per == "sequence" else 1
    return DataBatch(found, None if batch.targets is None else of_targets, of_targets)


def make_placement(devices: Any) -> Placement:
    """The placement on the given devices; if they are None, on the default device, or on all
    devices of all processes if there are several of these."""
    if devices is None:
        if jax.process_count() == 1:
            return Placement()
        devices = jax.devices()
    devices = list(devices) if isinstance(devices, list | tuple) else devices
    if not isinstance(devices, list) or not all(isinstance(d, jax.Device) for d in devices):
        raise WrongType(
            f"devices: expected a list of devices, such as jax.devices(), got {devices}"
        )
    if not devices or len(set(devices)) != len(devices):
        raise WrongValue(f"devices: expected one or more, each once, got {devices}")
    idle = set(range(jax.process_count())) - {device.process_index for device in devices}
    if idle:
        raise WrongValue(
            f"devices: expected at least one of each process, got none of process {min(idle)}"
        )
    mesh = jax.make_mesh((len(devices),), (AXIS,), axis_types=(AxisType.Auto,), devices=devices)
    return Placement(mesh)


def require_even(placement: Placement, argument: str, rows: int) -> None:
    """Raises ValueError for a batch that cannot be split over the devices: no row is dropped."""
    if rows % placement.devices:
        raise WrongValue(
            f"{argument}: expected a multiple of {placement.devices}, the number of devices over "
            f"which a batch is spread, got {rows}"
        )

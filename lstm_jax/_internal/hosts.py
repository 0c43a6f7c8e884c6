"""Many processes, on one host or several, as one job: how it begins, and what they agree on."""

import functools
import os
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongType, WrongValue

# JAX reads all of these, and does not see a SLURM job if one is missing.
SLURM = (
    "SLURM_JOB_ID", "SLURM_STEP_NODELIST", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID"
)  # fmt: skip
ADDRESS, KUBERNETES = "JAX_COORDINATOR_ADDRESS", "JOB_COMPLETION_INDEX"
IN_USE = "must be called before"  # in JAX's own error
LEAST = np.iinfo(np.int32).min


def initialize_hosts(
    coordinator_address: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    *,
    local_device_ids: int | Sequence[int] | None = None,
    timeout: float = 300.0,
) -> int:
    """Joins the processes of a job, on one host or several, by ``jax.distributed.initialize``.

    Every process of the job runs the same program, which begins with this call. ``jax.devices()``
    are then the devices of all processes, over which ``lj.data_parallel`` and ``train.fit`` spread
    each batch.

        lj.initialize_hosts()  # under SLURM, Open MPI, Kubernetes or on TPUs
        lj.initialize_hosts("10.0.0.1:1234", num_processes=2, process_id=0)  # anywhere else

    A program that is started alone, outside of any cluster, goes on alone, so that the same program
    runs on a laptop; a second call does nothing. A call of ``jax.distributed.initialize`` serves
    as well.

    What is not given is found by JAX: from ``JAX_COORDINATOR_ADDRESS`` and
    ``JAX_LOCAL_DEVICE_IDS`` (such as "0,1"); under SLURM from ``SLURM_JOB_ID``,
    ``SLURM_STEP_NODELIST``, ``SLURM_NTASKS``, ``SLURM_PROCID`` and ``SLURM_LOCALID``, which
    ``srun`` sets; under Open MPI from the variables of ``mpirun``; in an indexed Job or JobSet of
    Kubernetes from ``JOB_COMPLETION_INDEX`` and the cluster itself, by the package ``kubernetes``.
    ``JAX_COORDINATOR_PORT`` chooses another port, and ``JAX_COORDINATOR_BIND_ADDRESS`` the network
    on which process 0 listens. Under SLURM and Open MPI a process sees one GPU, by its number on
    the host, unless ``local_device_ids`` says otherwise.

    Args:
        coordinator_address: Host and port of process 0, which all others can reach.
        num_processes: How many processes the job has.
        process_id: The number of this one, from 0.
        local_device_ids: The GPUs of the host that this process uses.
        timeout: Seconds to wait for the other processes. If they do not come, JAX ends this one
            with a message of its own, ``DEADLINE_EXCEEDED``.

    Returns:
        The number of processes.

    Raises:
        ValueError, TypeError: Naming the argument or the variable that is missing.
        RuntimeError: If JAX has been used already.
    """
    if num_processes is not None:
        num_processes = checking.positive_int("num_processes", num_processes)
    if process_id is not None:
        process_id = checking.seed("process_id", process_id)
    _check_address(coordinator_address)
    timeout = checking.real("timeout", timeout)
    given: dict[str, Any] = {
        "coordinator_address": coordinator_address,
        "num_processes": num_processes,
        "process_id": process_id,
    }
    if num_processes is not None and process_id is not None and process_id >= num_processes:
        raise WrongValue(
            f"process_id: expected a number below {num_processes}, the number of processes, "
            f"got {process_id}"
        )
    if jax.distributed.is_initialized():
        _require_as_before(given)
        return jax.process_count()
    alone = all(value is None for value in given.values()) and not _is_in_cluster()
    try:
        jax.distributed.initialize(
            **given,
            local_device_ids=local_device_ids,
            initialization_timeout=max(1, round(timeout)),
        )
    except ValueError as error:
        if alone:
            return 1
        raise _missing(given, error) from error
    except RuntimeError as error:
        if IN_USE not in str(error):
            raise
        if alone and jax.default_backend() != "tpu":
            return 1
        raise RuntimeError(
            "initialize_hosts: expected to be called before JAX is used, that is before the first "
            "array and jax.devices(), got a JAX that is in use"
        ) from error
    return jax.process_count()


def _is_in_cluster() -> bool:
    """Whether variables say that there are other processes.

    Raises ValueError for a cluster that JAX would not see: it would train in each process alone.
    """
    if ADDRESS in os.environ:
        return True
    tasks = os.environ.get("SLURM_NTASKS", "1")
    missing = [name for name in SLURM if name not in os.environ]
    if "SLURM_JOB_ID" in os.environ and tasks != "1" and missing:
        raise WrongValue(
            f"{missing[0]}: expected the variables that srun sets, since SLURM_NTASKS is {tasks}, "
            "got none; start the program by srun, or unset SLURM_NTASKS to run it alone"
        )
    if KUBERNETES in os.environ and find_spec("kubernetes") is None:
        raise WrongValue(
            f"coordinator_address: expected an address, a number of processes and a process_id, "
            f"since {KUBERNETES} is set and the package kubernetes is missing, got None; "
            "pip install kubernetes lets JAX find them"
        )
    in_mpi = "OMPI_MCA_orte_hnp_uri" in os.environ
    return not missing or in_mpi or KUBERNETES in os.environ


def _missing(given: dict[str, Any], error: ValueError) -> WrongValue:
    """The error for the first argument that neither the caller nor JAX could give."""
    have_address = ADDRESS in os.environ
    for name, value in given.items():
        if value is None and not (name == "coordinator_address" and have_address):
            beside = [other for other, value in given.items() if value is not None]
            beside += [ADDRESS] if have_address else []
            return WrongValue(
                f"{name}: expected it beside {' and '.join(beside) or 'the variables'}, since no "
                f"cluster was found that has it, got None"
            )
    return WrongValue(f"coordinator_address: {error}")


def _check_address(address: Any) -> None:
    if address is None:
        return
    if not isinstance(address, str):
        raise WrongType(
            f"coordinator_address: expected a text such as '10.0.0.1:1234', got {address!r}"
        )
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise WrongValue(
            f"coordinator_address: expected host and port, such as '10.0.0.1:1234', got {address!r}"
        )


def _require_as_before(given: dict[str, Any]) -> None:
    now = {"num_processes": jax.process_count(), "process_id": jax.process_index()}
    for name, value in now.items():
        if given[name] not in (None, value):
            raise WrongValue(
                f"{name}: expected {value}, since the processes are joined already, "
                f"got {given[name]}"
            )


def is_first() -> bool:
    """Whether this process is the one that writes and shows things for all."""
    return jax.process_index() == 0


def from_first(*numbers: int) -> tuple[int, ...]:
    """The numbers of process 0, in all processes, each of which has to call this."""
    if jax.process_count() == 1:
        return numbers
    row = np.array(numbers, np.int32) if is_first() else np.full(len(numbers), LEAST, np.int32)
    return tuple(int(number) for number in _ranges(row)[1])


def differing(numbers: Sequence[int]) -> list[int]:
    """The places at which the numbers of two processes differ; each has to call this."""
    if jax.process_count() == 1:
        return []
    smallest, largest = _ranges(np.array(numbers, np.uint32).view(np.int32))
    return [int(place) for place in np.flatnonzero(smallest != largest)]


def on_first(function: Callable[[], Any], error: Callable[[str], Exception]) -> None:
    """Calls ``function`` in process 0, while the others wait. If it raises, all processes raise:
    the others an ``error`` that says so."""
    raised: Exception | None = None
    if is_first():
        try:
            function()
        except Exception as found:
            if jax.process_count() == 1:
                raise
            raised = found
    (failed,) = from_first(int(raised is not None))
    if raised is not None:
        raise raised
    if failed:
        raise error("process 0 has failed; its own error says why")


def _ranges(row: np.ndarray) -> np.ndarray:
    """The smallest and the largest of each number over all processes ``[2, n]``."""
    program, by_device = _ranges_program()
    shape = (by_device.num_devices, len(row))
    rows = jax.make_array_from_callback(shape, by_device, lambda _: row[None])
    return np.asarray(program(rows))


@functools.lru_cache(maxsize=1)
def _ranges_program() -> tuple[Any, NamedSharding]:
    mesh = jax.make_mesh((jax.device_count(),), ("device",), axis_types=(AxisType.Auto,))

    def ranges(rows: jax.Array) -> jax.Array:
        return jax.numpy.stack([rows.min(axis=0), rows.max(axis=0)])

    everywhere = NamedSharding(mesh, PartitionSpec())
    by_device = NamedSharding(mesh, PartitionSpec("device"))
    return jax.jit(ranges, out_shardings=everywhere), by_device

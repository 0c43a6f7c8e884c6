"""The folder from which a killed ``fit`` goes on.

fit.json         what is trained; another call is refused
history.json     the numbers of the complete epochs
STEP/            the newest state (``checkpoint``; by Orbax, if several processes wrote it together)
"""

import json
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from lstm_jax._internal import checking, hosts, storage
from lstm_jax._internal.errors import WrongValue
from lstm_jax.train import checkpoint, orbax_checkpoint
from lstm_jax.train.checkpoint import CheckpointError
from lstm_jax.train.placement import Placement
from lstm_jax.version import __version__

if TYPE_CHECKING:
    from lstm_jax.train.epochs import Job, Place

SETTINGS, HISTORY = "fit.json", "history.json"
PARAMS, PROGRAM = "first params", "model, loss or optimizer"


def settings(job: "Job", key: Any, params: Any, checksum: int) -> dict[str, Any]:
    """What has to be the same for a training to go on; the number of epochs may grow.

    Args:
        params: the first ones.
        checksum: of the program of a step, which tells one learning rate, loss or dropout from
            another. It is the same in all processes, but not for all versions of JAX.
    """
    leaves = jax.tree_util.tree_leaves_with_path(params)
    digest = 0
    for _, leaf in leaves:
        digest = zlib.crc32(np.ascontiguousarray(leaf).tobytes(), digest)
    state = jax.eval_shape(job.optimizer.init, params)
    machine = [jax.__version__, __version__, jax.default_backend()]
    return {
        "key": [int(word) for word in np.ravel(jax.random.key_data(key))],
        "batch_size": job.batch_size,
        "buckets": job.buckets,
        "params": {jax.tree_util.keystr(path): list(leaf.shape) for path, leaf in leaves},
        PARAMS: [digest, *machine],
        "optimizer": str(jax.tree.structure(state)),
        "data": job.data.fingerprint(),
        "validation": None if job.validation is None else job.validation.fingerprint(),
        "metrics": [metric.name for metric in job.metrics],
        "early_stopping": None if job.stopping is None else list(job.stopping),
        PROGRAM: [checksum, *machine],
    }


def require_same_everywhere(named: dict[str, Any]) -> None:
    """Raises ValueError in all processes if they were not given the same."""
    digests = [zlib.crc32(json.dumps(value, sort_keys=True).encode()) for value in named.values()]
    names = list(named)
    differing = [names[place] for place in hosts.differing(digests)]
    if differing:
        raise WrongValue(
            f"{differing[0]}: expected the same in all processes, got {_short(named[differing[0]])}"
            f" in process {jax.process_index()} and something else in another"
        )


class Store:
    """Saves and restores where training stands; all processes make every call together."""

    def __init__(
        self, folder: str | Path, expected: dict[str, Any], seconds: float, placement: Placement
    ):
        self._folder = Path(folder).resolve()
        self._placement = placement
        self._seconds = checking.real("seconds_between_checkpoints", seconds)
        self._last = time.monotonic()
        expected = json.loads(json.dumps(expected))
        hosts.on_first(lambda: self._open(folder, expected), CheckpointError)
        if not (self._folder / SETTINGS).is_file():
            raise CheckpointError(
                f"checkpoint: expected a folder that all processes share, got {folder}, in which "
                f"process {jax.process_index()} does not see what process 0 wrote"
            )
        self._open(folder, expected)

    def _open(self, folder: str | Path, expected: dict[str, Any]) -> None:
        """Begins the folder, or checks that it is of the same training."""
        file = self._folder / SETTINGS
        if file.is_file():
            try:
                found = json.loads(file.read_text(encoding="utf-8"))
            except ValueError as error:
                raise CheckpointError(f"{file} cannot be read: {error}") from None
            for name, value in expected.items():
                old = found.get(name)
                if name in (PARAMS, PROGRAM) and old is not None and old[1:] != value[1:]:
                    continue  # another version or machine may compute the same in another way
                if old != value:
                    raise CheckpointError(
                        f"checkpoint: expected a folder of the same training, got {folder}, whose "
                        f"{name} is {_short(old)} and not {_short(value)}; choose "
                        "another folder, or remove it"
                    )
            return
        if self._folder.exists() and any(
            not storage.is_part(entry, SETTINGS) for entry in self._folder.iterdir()
        ):
            raise CheckpointError(
                f"checkpoint: expected a new folder or one of fit, got {folder}, which has other "
                "files"
            )
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with storage.replacing(file, "w") as out:
                out.write(json.dumps(expected, indent=1) + "\n")
        except OSError as error:
            raise CheckpointError(f"checkpoint: {file} not written: {error}") from error

    def is_due(self) -> bool:
        return time.monotonic() - self._last > self._seconds

    def save(self, at: "Place") -> None:
        """Writes the history, and then the state that it belongs to."""
        step = self._number(at)
        path = self._folder / str(step)
        hosts.on_first(lambda: self._write_history(at), CheckpointError)
        if self._latest() != step:
            if jax.process_count() == 1:
                checkpoint.write(self._folder, step, self._tree(at))
            else:
                orbax_checkpoint.save(path, self._tree_of_arrays(at))
            hosts.on_first(lambda: self._remove_others(path), CheckpointError)
        self._last = time.monotonic()

    def restore(self, start: "Place") -> "Place":
        """Where a killed process stood; ``start`` if nothing was saved."""
        step = self._latest()
        if step is None:
            return start
        if step not in checkpoint.steps(self._folder):
            raise CheckpointError(
                f"checkpoint: expected a folder that all processes share, got {self._folder}, in "
                f"which process {jax.process_index()} does not see step {step}"
            )
        path = self._folder / str(step)
        if step in checkpoint.steps(self._folder, orbax=True):
            like = self._tree_of_arrays(start)
            tree = orbax_checkpoint.restore(path, like, self._placement.whole)
            numbers = np.asarray(tree["numbers"]).view(np.int64)
            total = np.asarray(tree["total"]).view(np.float64)[0]
        else:
            tree = checkpoint.restore(self._folder, self._tree(start), step)
            numbers, total = tree["numbers"], tree["total"]
        history = json.loads((self._folder / HISTORY).read_text(encoding="utf-8"))
        epoch, batch, count, best_epoch, finished = (int(number) for number in numbers)
        return start._replace(
            state=self._placement.put(tree["state"]),
            carry=self._placement.put(tree["carry"]),
            best=self._placement.put(tree["best"]),
            history={name: values[:epoch] for name, values in history.items()} if epoch else {},
            epoch=epoch,
            batch=batch,
            total=float(total),
            targets=count,
            best_epoch=best_epoch,
            finished=bool(finished),
        )

    def _write_history(self, at: "Place") -> None:
        with storage.replacing(self._folder / HISTORY, "w") as file:
            file.write(json.dumps(at.history) + "\n")

    def _latest(self) -> int | None:
        """The newest step that the first process sees."""
        latest = checkpoint.latest_step(self._folder)
        (step,) = hosts.from_first(-1 if latest is None else latest)
        return None if step < 0 else step

    def _remove_others(self, path: Path) -> None:
        checkpoint.remove_others(path)
        for step in checkpoint.steps(self._folder, orbax=True):
            if step != int(path.name):
                orbax_checkpoint.remove(self._folder / str(step))
        orbax_checkpoint.remove_remains(self._folder)

    def _tree(self, at: "Place") -> dict[str, Any]:
        numbers = [at.epoch, at.batch, at.targets, at.best_epoch, int(at.finished)]
        return {
            "state": at.state,
            "carry": at.carry,
            "best": at.best,
            "numbers": np.array(numbers, np.int64),
            "total": np.float64(at.total),
        }

    def _tree_of_arrays(self, at: "Place") -> dict[str, Any]:
        """As ``_tree``, with the numbers as words of 32 bits: JAX would round 64."""
        tree = self._tree(at)
        words = {name: np.atleast_1d(tree[name]).view(np.uint32) for name in ("numbers", "total")}
        return tree | words

    def _number(self, at: "Place") -> int:
        """The step of training, doubled: the end of an epoch comes after its last step."""
        return 2 * int(at.state.step) + int(at.batch == 0)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."

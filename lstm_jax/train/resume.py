"""The folder from which a killed ``fit`` goes on.

fit.json         what is trained; another call is refused
history.json     the numbers of the complete epochs
STEP/            the newest state (``checkpoint``)
"""

import json
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from lstm_jax._internal import checking, storage
from lstm_jax.train import checkpoint
from lstm_jax.train.checkpoint import CheckpointError
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


class Store:
    """Saves and restores where training stands."""

    def __init__(self, folder: str | Path, expected: dict[str, Any], seconds: float):
        self._folder = Path(folder)
        self._seconds = checking.real("seconds_between_checkpoints", seconds)
        self._last = time.monotonic()
        file = self._folder / SETTINGS
        expected = json.loads(json.dumps(expected))
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
        with storage.replacing(self._folder / HISTORY, "w") as file:
            file.write(json.dumps(at.history) + "\n")
        step = self._number(at)
        if checkpoint.latest_step(self._folder) != step:
            checkpoint.save(self._folder, step, self._tree(at))
        self._last = time.monotonic()

    def restore(self, start: "Place") -> "Place":
        """Where a killed process stood; ``start`` if nothing was saved."""
        if checkpoint.latest_step(self._folder) is None:
            return start
        tree = checkpoint.restore(self._folder, self._tree(start))
        history = json.loads((self._folder / HISTORY).read_text(encoding="utf-8"))
        epoch, batch, count, best_epoch, finished = (int(number) for number in tree["numbers"])
        return start._replace(
            state=tree["state"],
            carry=tree["carry"],
            best=tree["best"],
            history={name: values[:epoch] for name, values in history.items()} if epoch else {},
            epoch=epoch,
            batch=batch,
            total=float(tree["total"]),
            targets=count,
            best_epoch=best_epoch,
            finished=bool(finished),
        )

    def _tree(self, at: "Place") -> dict[str, Any]:
        numbers = [at.epoch, at.batch, at.targets, at.best_epoch, int(at.finished)]
        return {
            "state": at.state,
            "carry": at.carry,
            "best": at.best,
            "numbers": np.array(numbers, np.int64),
            "total": np.float64(at.total),
        }

    def _number(self, at: "Place") -> int:
        """The step of training, doubled: the end of an epoch comes after its last step."""
        return 2 * int(at.state.step) + int(at.batch == 0)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."

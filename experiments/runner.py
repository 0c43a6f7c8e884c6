"""Runs jobs: all seeds of a contender side by side, measured, checkpointed, and able to go on."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import AxisType, PartitionSpec

from experiments import folder as run_folder
from experiments.progress import Progress
from experiments.setting import Job
from lstm_jax import train
from lstm_jax.tasks import Batch

# Seconds between checkpoints, at most: a killed run loses no more than this and one chunk.
CHECKPOINT_SECONDS = 10.0


def run_all(
    jobs: list[Job], path: Path, progress: Progress, *, sweeping: bool = False
) -> list[dict[str, Any]]:
    """The results of all jobs, in order; what the folder already holds is not computed again.

    A run whose loss is not finite is named, with seed and step, and counts as the worst score;
    the other seeds go on. Where all diverge, NonFiniteLoss is raised.

    sweeping: leave the test data alone, and expect divergence, since a sweep looks for the edge.
    """
    files = {job.folder: path / job.folder / "result.json" for job in jobs}
    results = {name: run_folder.read_json(file) for name, file in files.items() if file.exists()}
    left = [job for job in jobs if job.folder not in results]
    progress.skip([job for job in jobs if job.folder in results])
    # All programs are compiled first, on all cores, and then nothing disturbs the timings.
    progress.say(f"compiling {len(left)} programs")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        compiled = list(pool.map(Programs, left))
    for job, programs in zip(left, compiled, strict=True):
        results[job.folder] = run_job(job, programs, path / job.folder, progress, sweeping=sweeping)
    return [results[job.folder] for job in jobs]


def run_job(
    job: Job, programs: "Programs", path: Path, progress: Progress, *, sweeping: bool
) -> dict[str, Any]:
    """Trains all runs of one job, from the last checkpoint on.

    The result holds, one number a run: ``validation`` and ``test``, the scores at the end of the
    budget; further ``seconds`` of training, without compiling and measuring, and ``curve``, all
    measurements.
    """
    budget, task = job.setting.budget, job.setting.task
    state = programs.state
    step = train.checkpoint.latest_step(path / "checkpoints") or 0
    if step:
        with uninterrupted():
            restored = train.checkpoint.restore(path / "checkpoints", state)
        state = programs.place(restored)
    metrics = run_folder.Metrics(path / "metrics.jsonl", step)
    progress.at(job, step)
    saved = time.monotonic()
    while step < budget.steps:
        state, losses, seconds = programs.chunk(state)
        if not sweeping:
            tell_divergence(job, losses, metrics.lines, step, progress)
        step += budget.every
        line = {
            "step": step,
            "train_loss": numbers(losses.mean(axis=1)),
            "seconds": seconds,
        }
        scores = programs.score(state.params, task.validation)
        line["validation"] = unless_diverged(scores, line)
        metrics.append(line)
        if step == budget.steps or time.monotonic() - saved > CHECKPOINT_SECONDS:
            with uninterrupted():
                train.checkpoint.save(path / "checkpoints", step, state)
            saved = time.monotonic()
        progress.at(job, step)
    last = metrics.lines[-1]
    result = {
        "validation": last["validation"],
        "seconds": sum(line["seconds"] for line in metrics.lines),
        "curve": metrics.lines,
    }
    if not sweeping:
        result["test"] = unless_diverged(programs.score(state.params, task.test), last)
        if job.setting.further is not None:
            progress.say(f"{job.name}: further measurements")
            further = job.setting.further(job, state.params, path)
            rows = {
                title: {column: unless_diverged(values, last) for column, values in row.items()}
                for title, row in further.scores.items()
            }
            result["further"] = further._replace(scores=rows)._asdict()
    run_folder.write_json(path / "result.json", result)
    progress.end(job, result)
    return result


def tell_divergence(
    job: Job, losses: np.ndarray, lines: list[dict[str, Any]], step: int, progress: Progress
) -> None:
    """Names each run whose loss was finite up to the last measurement, and is no more."""
    errors = []
    for run, values in enumerate(losses):
        try:
            train.require_finite(values, job.run_name(run), step)
        except train.NonFiniteLoss as error:
            errors.append(error)
            if not lines or lines[-1]["train_loss"][run] is not None:
                progress.warn(str(error))
    if len(errors) == len(job.seeds):
        raise errors[0]


class Programs:
    """The compiled functions of one job, and its state at step 0.

    Everything has the runs as its leading axis.
    """

    def __init__(self, job: Job):
        budget, task, model = job.setting.budget, job.setting.task, job.model
        count = len(job.seeds)
        devices = max(n for n in range(1, len(jax.devices()) + 1) if count % n == 0)
        self.mesh = jax.make_mesh(
            (devices,), ("runs",), axis_types=(AxisType.Auto,), devices=jax.devices()[:devices]
        )

        def optimizer(rate: jax.typing.ArrayLike) -> optax.GradientTransformation:
            return optax.chain(optax.clip_by_global_norm(budget.clip), optax.adam(rate))

        def chunk(run: tuple, _: None) -> tuple:
            state, key, rate = run
            return train.take_steps(
                model, task, optimizer(rate), state, key,
                steps=budget.every, batch_size=budget.batch_size,
            )  # fmt: skip

        def score(params: Any, batch: Batch) -> jax.Array:
            return task.score.measure(model.answer(params, batch.xs), batch)

        states, keys = [], []
        for seed, rate in zip(job.seeds, job.learning_rates, strict=True):
            key_init, key_data = jax.random.split(jax.random.key(seed, impl="threefry2x32"))
            states.append(train.start(model, optimizer(rate), key_init))
            keys.append(key_data)
        self.state = self.place(jax.tree.map(lambda *leaves: jnp.stack(leaves), *states))
        self._keys_and_rates = self.place((jnp.stack(keys), jnp.asarray(job.learning_rates)))

        self._score = self.over_runs(score)
        self.score(self.state.params, task.validation)  # compiles
        run = (self.state, *self._keys_and_rates)
        self._chunk = self.over_runs(chunk).lower(run, None).compile()

    def over_runs(self, function: Callable[[Any, Any], Any]) -> Any:
        """``function(run, shared)`` for every run: spread over the devices, and one after
        another on each.

        On two cores this trains 1.8 times as many steps a second as a loop over the seeds, since
        small steps leave the second core idle. A vmap over the seeds of a device is no faster,
        and its bits depend on how many seeds a device has; these do not.
        """

        def one_device(runs: Any, shared: Any) -> Any:
            return jax.lax.map(lambda run: function(run, shared), runs)

        runs, whole = PartitionSpec("runs"), PartitionSpec()
        return jax.jit(
            # Nothing is exchanged, so nothing need be known of what varies over the devices.
            jax.shard_map(
                one_device, mesh=self.mesh, in_specs=(runs, whole), out_specs=runs, check_vma=False
            )
        )

    def place(self, tree: Any) -> Any:
        """Puts each run's part where it is computed."""
        return jax.device_put(tree, jax.NamedSharding(self.mesh, PartitionSpec("runs")))

    def chunk(self, state: train.TrainState) -> tuple[train.TrainState, np.ndarray, float]:
        """``every`` steps of all runs: state, losses ``[runs, every]``, seconds it took."""
        began = time.perf_counter()
        state, losses = self._chunk((state, *self._keys_and_rates), None)
        losses = np.asarray(losses)  # waits
        return state, losses, time.perf_counter() - began

    def score(self, params: Any, batch: Batch) -> np.ndarray:
        """The task's score on held-out data ``[runs]``."""
        return np.asarray(self._score(params, batch))


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C waits for the end of the block: Orbax writes from threads of its own, which must not
    be left behind by a process that ends."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed: list[bool] = []
    before = signal.signal(signal.SIGINT, lambda *_: pressed.append(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt


def numbers(values: Any) -> list[float | None]:
    """As JSON, exactly; None stands for what is not finite."""
    return [float(value) if np.isfinite(value) else None for value in np.array(values, float)]


def unless_diverged(scores: Any, line: dict[str, Any]) -> list[float | None]:
    """``scores``, one a run, as ``numbers``; None for the runs whose loss in ``line`` was not
    finite, since answers that are tokens or classes look like any others."""
    losses = np.array(line["train_loss"], float)
    return numbers(np.where(np.isfinite(losses), np.array(scores, float), np.nan))

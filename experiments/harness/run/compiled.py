"""The compiled programs of one job: training chunks and scores of all its runs."""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, PartitionSpec

from experiments.harness.run.jobs import Job
from experiments.harness.run.parts import map_in_parts
from lstm_jax import train
from lstm_jax.tasks import AnyBatch, AnyTask

ROWS = 1000  # of held-out data that are answered at a time
# Below this number of parameters times rows, products cost less than the calls around them, and
# runs are computed side by side. (Measured by python -m benchmarks.studies.seeds.)
SMALL = 20_000


class Programs:
    """The compiled programs of one job, and its state at step 0.

    Runs are the first axis of everything.
    """

    def __init__(self, job: Job):
        budget, task = job.setting.budget, job.setting.task
        self._job = job
        count = len(job.seeds)
        devices = max(n for n in range(1, len(jax.devices()) + 1) if count % n == 0)
        self.mesh = jax.make_mesh(
            (devices,), ("runs",), axis_types=(AxisType.Auto,), devices=jax.devices()[:devices]
        )
        self.vectorized = is_vectorized(job)
        states, keys = zip(*(start(job, run) for run in range(count)), strict=True)
        # With NumPy, since JAX would compile a program for each shape, here and in ``place``.
        self.state = self.place(jax.tree.map(lambda *leaves: np.stack(leaves), *states))
        self._keys_and_rates = self.place((jnp.stack(keys), jnp.asarray(job.learning_rates)))

        self._score = self.map_over_runs(self._measure_score)
        self._scores = self.map_over_runs(self._measure_scores)  # compiled when it is needed
        self.score(self.state.params, task.validation)  # compiles
        run = (self.state, *self._keys_and_rates, self.place(jnp.ones(count, bool)))
        self._chunk = self.map_over_runs(self._train_run).lower(run, None).compile()
        self.every = budget.every

    def _train_run(self, run: tuple, _: None) -> tuple[train.TrainState, train.Steps]:
        """Trains one run for ``every`` steps, or for none if it has ended."""
        state, key, rate, active = run
        budget, task, model = self._job.setting.budget, self._job.setting.task, self._job.model

        def steps(state: train.TrainState) -> tuple[train.TrainState, train.Steps]:
            return train.take_steps(
                model, task, self._job.optimizer(rate), state, key,
                steps=budget.every, batch_size=budget.batch_size,
            )  # fmt: skip

        def none(state: train.TrainState) -> tuple[train.TrainState, train.Steps]:
            record = jax.eval_shape(steps, state)[1]
            return state, jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), record)

        return jax.lax.cond(active, steps, none, state)

    def _measure_score(self, params: Any, batch: AnyBatch) -> tuple[jax.Array, jax.Array]:
        """The score of one run, and whether it meets a criterion of success on held-out data."""
        task, model = self._job.setting.task, self._job.model
        answers = answer_in_parts(lambda xs: model.answer(params, xs), task, batch)
        score = task.score.measure(answers, batch)
        success = task.success
        if success is None or success.on != "held-out":
            return score, jnp.zeros((), bool)
        return score, success.met(answers, batch)

    def _measure_scores(self, params: Any, batch: AnyBatch) -> dict[str, jax.Array]:
        """The task's further scores of one run, by name."""
        task, model = self._job.setting.task, self._job.model
        answers = answer_in_parts(lambda xs: model.answer(params, xs), task, batch)
        return {score.name: score.measure(answers, batch) for score in task.scores}

    def map_over_runs(self, function: Callable[[Any, Any], Any]) -> Any:
        """``function(run, shared)`` for every run, with the runs spread over the devices.

        The runs of a device are computed one after another, or side by side if ``vectorized``.

        On two cores, one after another trains 1.8 times as many steps per second as a loop over
        the seeds, since small steps leave the second core idle. Side by side is faster only for the
        smallest nets, and its rounding may depend on how many runs a device has; one after another
        does not.
        """

        def one_device(runs: Any, shared: Any) -> Any:
            if self.vectorized:
                return jax.vmap(function, in_axes=(0, None))(runs, shared)
            return jax.lax.map(lambda run: function(run, shared), runs)

        runs, same = PartitionSpec("runs"), PartitionSpec()
        return jax.jit(
            # Unchecked, since devices exchange nothing.
            jax.shard_map(
                one_device, mesh=self.mesh, in_specs=(runs, same), out_specs=runs, check_vma=False
            )
        )

    def place(self, tree: Any) -> Any:
        """Puts each run's part of ``tree`` on its device."""
        return jax.device_put(tree, jax.NamedSharding(self.mesh, PartitionSpec("runs")))

    def chunk(
        self, state: train.TrainState, active: np.ndarray
    ) -> tuple[train.TrainState, train.Steps, float]:
        """Trains the active runs for ``every`` steps.

        Returns:
            The new state, the record of the steps, and the seconds that it took. Runs that are not
            active keep their state, and their record is zero.
        """
        began = time.perf_counter()
        state, record = self._chunk(
            (state, *self._keys_and_rates, self.place(jnp.asarray(active))), None
        )
        record = jax.tree.map(np.asarray, record)  # waits
        return state, record, time.perf_counter() - began

    def score(self, params: Any, batch: AnyBatch) -> tuple[np.ndarray, np.ndarray]:
        """The task's score on held-out data ``[runs]``, and whether its criterion is met there.

        It is NaN, and the criterion not met, for runs whose params are not finite: the last update
        of a chunk may ruin them after its loss was computed, and answers that are classes would
        still look valid.
        """
        score, met = self._score(params, batch)
        finite = finite_runs(params)
        return np.where(finite, np.asarray(score), np.nan), np.asarray(met) & finite

    def scores(self, params: Any, batch: AnyBatch) -> dict[str, np.ndarray]:
        """The task's further scores on held-out data, each ``[runs]``, by name; NaN as in
        ``score``."""
        if not self._job.setting.task.scores:
            return {}
        scores, finite = self._scores(params, batch), finite_runs(params)
        return {name: np.where(finite, np.asarray(of), np.nan) for name, of in scores.items()}

    def time_chunk(self) -> float:
        """The time of one chunk, from step 0; its result is dropped."""
        return self.chunk(self.state, np.ones(len(self._job.seeds), bool))[2]


def finite_runs(params: Any) -> np.ndarray:
    """Which runs ``[runs]`` have params that are all finite."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(params)]
    return np.all([np.isfinite(a).reshape(len(a), -1).all(axis=1) for a in leaves], axis=0)


def start(job: Job, run: int) -> tuple[train.TrainState, jax.Array]:
    """The state of a run at step 0, and the key of its data and noise."""
    key_init, key_data = jax.random.split(jax.random.key(job.seeds[run], impl="threefry2x32"))
    optimizer = job.optimizer(job.learning_rates[run])
    return train.start(job.model, optimizer, key_init), key_data


def is_vectorized(job: Job) -> bool:
    """Whether the runs of a device are computed side by side: always on a GPU or TPU, and on a CPU
    for the smallest nets."""
    choice = job.setting.budget.vectorize
    if choice != "auto":
        return choice == "yes"
    return jax.default_backend() != "cpu" or job.parameters * job.setting.budget.batch_size < SMALL


def answer_in_parts(
    answer: Callable[[Any], jax.Array], task: AnyTask[Any], batch: Any
) -> jax.Array:
    """``answer(batch.xs)``, ``ROWS`` rows at a time if the task's answers can be put together."""
    if task.answers_axis is None:
        return answer(batch.xs)
    return map_in_parts(answer, batch.xs, ROWS, task.answers_axis)

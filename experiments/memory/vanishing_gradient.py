"""Where gradients vanish: their norm against lag in nine cells, before and after training.

    python -m experiments vanishing_gradient

Hochreiter 1991, Bengio, Simard & Frasconi 1994 and Pascanu, Mikolov & Bengio 2013, "On the
difficulty of training recurrent neural networks": the gradient of a loss by the state k steps ago
is a product of k Jacobians, and so falls or grows exponentially in k. ReLU units with the identity
as weights (Le, Jaitly & Hinton 2015), gates (Hochreiter & Schmidhuber 1997; Cho et al. 2014), a
forget bias (Gers et al. 2000; Jozefowicz et al. 2015) and chrono initialisation (Tallec & Ollivier
2018) are to prevent it. Here all of them learn delayed recall, and the norm of the gradient by the
state k steps before the answer, relative to that at the answer, is measured at the start and after
training. Two more nets, with weights scaled up, show gradients that explode, and what clipping
leaves of them.

Expect, in 4 minutes on two cores (four seeds; results in experiments/results/vanishing_gradient):
at the start, at lag 101, the norm is 1e-14 in a GRU and in an LSTM with a forget bias of 0, less in
a ReLU RNN, 1e-6 in a tanh RNN, 1e-3 in an LSTM with a forget bias of 1, and between 0.1 and 5 in
the IRNN and in the LSTMs with chrono initialisation, a forget bias of 5 and no forget gate. Only
these three LSTMs solve the task within 1,500 steps, with all seeds, and their gradients stay flat.
The others stay at chance or get a little above it, and all but the IRNN vanish faster than before.
"""

import dataclasses
import functools
import itertools
import operator
from pathlib import Path
from typing import Any, cast

import jax
import numpy as np
import optax

import lstm_jax as lj
from experiments.harness.run import best_rate, run_folder
from experiments.harness.run.compiled import start
from experiments.harness.run.jobs import Job
from experiments.harness.run.setting import (
    Budget,
    FurtherResults,
    OverallResults,
    Setting,
    hidden_size,
    recurrent_model,
)
from experiments.memory import _gradient_figure, _gradients
from lstm_jax import tasks, train
from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.core import initializers
from lstm_jax.tasks import Batch, Task

TIME = "4 min"

CHRONO = "LSTM, chrono"
CONTENDERS: dict[str, tuple[str, dict[str, Any]]] = {  # registered cells and their options
    "tanh RNN": ("rnn", {}),
    "ReLU RNN": ("rnn", {"activation": "relu"}),
    "IRNN": ("irnn", {}),
    "GRU": ("gru", {}),
    "LSTM, no forget gate": ("lstm", {"forget_gate": False}),
    "LSTM, forget bias 0": ("lstm", {"forget_bias": 0.0}),
    "LSTM, forget bias 1": ("lstm", {"forget_bias": 1.0}),
    "LSTM, forget bias 5": ("lstm", {"forget_bias": 5.0}),
    CHRONO: ("lstm", {}),
}

# Chosen by python -m experiments vanishing_gradient --sweep --seeds 1 --steps 1000, on validation
# data; where all rates stayed at chance (ReLU RNN, GRU, LSTM with a forget bias of 0 and 1), the
# rate of most others.
RATES = {
    "tanh RNN": 3e-2,
    "ReLU RNN": 3e-3,
    "IRNN": 3e-4,
    "GRU": 3e-3,
    "LSTM, no forget gate": 3e-3,
    "LSTM, forget bias 0": 3e-3,
    "LSTM, forget bias 1": 3e-3,
    "LSTM, forget bias 5": 3e-3,
    CHRONO: 1e-2,
}
NETS = {"tanh": "tanh RNN", "relu": "ReLU RNN"}
FILE = "gradients.json"
ROWS = 64  # of the test data, by which gradients are taken
CLIP = 1.0
CLIPPED_STEPS, CLIPPED_RATE = 60, 0.1


@dataclasses.dataclass(frozen=True)
class Config(Budget):
    delay: int = 100
    """Steps between the symbol and the question for it."""
    cells: tuple[str, ...] = tuple(CONTENDERS)
    """The cells to compare, by their names in CONTENDERS."""
    radius: float = 1.5
    """Spectral radius of the recurrent weights of the nets whose gradients explode."""
    seeds: int = 4
    steps: int = 1500
    size: int | None = 32
    until_solved: bool = True

    @property
    def options(self) -> dict[str, Any]:
        return {**super().options, "radius": self.radius}


def settings(config: Config) -> list[Setting]:
    if checking.real("radius", config.radius) <= 0:
        raise WrongValue(f"radius: expected a number above 0, got {config.radius}")
    task = tasks.make("delayed_recall", delay=config.delay)
    model = functools.partial(make_model, float(config.delay))
    overall = functools.partial(compare, config, task)
    return [Setting(task, config, RATES, model=model, further=measure, overall=overall)]


def make_model(t_max: float, task: Task, budget: Budget, contender: str) -> train.Model:
    name, options = CONTENDERS[checking.choice("cells", contender, CONTENDERS)]
    size = hidden_size(name, functools.partial(lj.cells.make, name, **options), budget, task)
    cell: Any = lj.cells.make(name, size, **options)
    if contender == CHRONO:
        cell = lj.initialize(cell, b=initializers.chrono(max(t_max, 3.0)))
    source = train.Description(name, size, task.input_size, task.output_size, task.reads, options)
    return recurrent_model(cell, source, task, budget)


def measure(job: Job, params: Any, folder: Path) -> FurtherResults:
    """Writes the curves of all runs to the job's folder, at the start and after training."""
    task, params = cast(Task, job.setting.task), jax.device_get(params)
    batch = held_out_rows(task)
    name, options = CONTENDERS[job.contender]
    cell = lj.cells.make(name, job.model.size, **options)
    curves: dict[str, list[list[float | None]]] = {"start": [], "trained": []}
    for run in range(len(job.seeds)):
        trained = jax.tree.map(operator.itemgetter(run), params)
        for when, at in (("start", start(job, run)[0].params), ("trained", trained)):
            curves[when].append(to_json(_gradients.norm_curve(cell, task, at, batch)))
    run_folder.write_json(folder / FILE, curves)
    return FurtherResults({}, [], [])


def compare(
    config: Config, task: Task, jobs: list[Job], results: list[dict[str, Any]], path: Path
) -> OverallResults:
    """The table and the figure of all contenders, with the nets whose gradients explode."""
    contenders = {}
    for job, result in zip(jobs, results, strict=True):
        kept = best_rate.runs_at(job, best_rate.best(job, result))
        curves = run_folder.read_json(path / job.folder / FILE)
        contenders[job.contender] = {
            **{when: [of[run] for run in kept] for when, of in curves.items()},
            "solved": [result["solved"][run] is not None for run in kept],
            "score": [result["test"][run] for run in kept],
        }
    found = {
        "lag": config.delay + 1,
        "chance": task.score.chance,
        "contenders": contenders,
        "radius": config.radius,
        "exploding": explode(config, task),
        "descent": descend(config, task),
    }
    run_folder.write_json(path / FILE, found)
    _gradient_figure.draw(found, path / "gradients.png")
    return OverallResults(
        [_gradient_figure.make_table(found), _gradient_figure.make_descent_table(found)],
        {"gradient norms against lag, before and after training": "gradients.png"},
    )


def explode(config: Config, task: Task) -> dict[str, Any]:
    """The curves at the start of nets with recurrent weights of spectral radius 1 and larger, and
    the factor by which clipping scales each gradient."""
    batch, found = held_out_rows(task), {}
    for activation, radius in itertools.product(NETS, (1.0, config.radius)):
        model, cell = scaled_net(config, task, activation, radius)
        gradient = jax.jit(jax.grad(functools.partial(mean_loss, model, task)))
        curves, factors = [], []
        for seed in range(config.seeds):
            params = model.init(jax.random.key(seed))
            norm = float(optax.tree.norm(gradient(params, batch)))
            curves.append(to_json(_gradients.norm_curve(cell, task, params, batch)))
            factors.append(min(1.0, CLIP / norm))
        found[f"{NETS[activation]}, radius {radius:g}"] = {"start": curves, "factors": factors}
    return found


def descend(config: Config, task: Task) -> list[dict[str, Any]]:
    """Plain gradient descent of the nets with scaled weights, with and without clipping: the norms
    of all steps, and the gradient at the lag of the symbol after the last."""
    batch, found = held_out_rows(task), []
    for activation, limit in itertools.product(NETS, (None, CLIP)):
        model, cell = scaled_net(config, task, activation, config.radius)
        runs: dict[str, list] = {field: [] for field in (*_gradients.Clipping._fields, "lagged")}
        for seed in range(config.seeds):
            steps, params = _gradients.descend(
                model, task, jax.random.key(seed), clip=limit, steps=CLIPPED_STEPS,
                learning_rate=CLIPPED_RATE, batch_size=config.batch_size,
            )  # fmt: skip
            for field, values in steps._asdict().items():
                runs[field].append(to_json(values))
            curve = _gradients.norm_curve(cell, task, params, batch)
            runs["lagged"] += to_json(curve[config.delay + 1 :][:1])
        found.append({"net": NETS[activation], "clip": limit, **runs})
    return found


def scaled_net(
    config: Config, task: Task, activation: str, radius: float
) -> tuple[train.Model, lj.Cell]:
    """An RNN whose recurrent weights are orthogonal, times ``radius``, and the model with it."""
    recurrent = initializers.orthogonal(radius)
    cell: Any = lj.initialize(lj.rnn(config.size or 32, activation=activation), w_h=recurrent)
    return train.recurrent(cell, task.input_size, task.output_size), cell


def mean_loss(model: train.Model, task: Task, params: Any, batch: Batch) -> jax.Array:
    return task.loss(model.apply(params, batch.xs), batch)


def held_out_rows(task: Task) -> Batch:
    test = jax.device_get(task.test)
    return Batch(test.xs[:, :ROWS], test.targets[:ROWS])


def to_json(values: np.ndarray) -> list[float | None]:
    """The values to four digits; None for those that are not finite."""
    return [float(f"{value:.3e}") if np.isfinite(value) else None for value in values]

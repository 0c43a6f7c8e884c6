"""Nets that forecast: a mean and quantiles at all horizons at once, fitted before each block."""

import json
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import lstm_jax as lj
from experiments.harness.run.study import Entry, Trial, trial_path
from experiments.series import _forecasts as forecasts
from experiments.series._forecasts import LEVELS, Budget, Problem, Rule
from lstm_jax import train
from lstm_jax.train import heads, losses, series

CLIP = 1.0  # the largest norm of a gradient


class Recipe(NamedTuple):
    """A net and how it is trained: Adam with weight decay, stopped early.

    cell: its name in lj.cells.registry.
    length: the steps that it sees.
    base: the rule whose forecast it adds its output to.
    loss: of the point forecast, "mse" or "huber". QLIKE is always trained for itself.
    held_out: the share of the training part, its end, on which training is stopped.
    patience: how many epochs without a better loss there it goes on.
    """

    cell: str
    size: int
    length: int
    base: Rule
    learning_rate: float = 3e-3
    weight_decay: float = 1e-4
    dropout: float = 0.0
    loss: str = "mse"
    batch_size: int = 64
    epochs: int = 60
    patience: int = 8
    held_out: float = 0.15


class Prepared(NamedTuple):
    """What a net is trained on before a block, and how its outputs become forecasts.

    inputs: ``[T - length + 1, length, D]``, scaled; row i ends at step i + length - 1.
    aims: ``[T, K]`` by origin, less the base and scaled; NaN is unknown or not to be seen.
    base, size: ``[T, K]`` and ``[K]``: forecasts are ``base + size * outputs``.
    learn, check: the origins that are trained on, and those on which training is stopped.
    """

    inputs: np.ndarray
    aims: np.ndarray
    base: np.ndarray
    size: np.ndarray
    learn: np.ndarray
    check: np.ndarray


def prepare(problem: Problem, recipe: Recipe, start: int) -> Prepared:
    """From the steps before ``start`` alone, except for the inputs of later forecasts."""
    scaler = series.standard()
    scaled = scaler.apply(scaler.fit(problem.features[:start]), problem.features)
    views = np.lib.stride_tricks.sliding_window_view(
        scaled.astype(np.float32), recipe.length, axis=0
    )
    base = forecasts.rule_by_origin(problem, recipe.base, start)
    aims = forecasts.before(forecasts.aims_by_origin(problem) - base, problem, start)
    # The logarithm of a variance keeps its size, for the sake of QLIKE.
    size = np.ones(aims.shape[1]) if problem.point == "qlike" else np.nanstd(aims, axis=0)
    farthest = problem.horizons[-1]
    first = max(recipe.length - 1, recipe.base.baseline.first_origin(farthest))
    held_out = start - int(recipe.held_out * start)  # the first step that only stops the training
    return Prepared(
        views.swapaxes(1, 2), (aims / size).astype(np.float32), base, size,
        learn=np.arange(first, held_out - farthest),
        check=np.arange(held_out - 1, start - farthest),
    )  # fmt: skip


def head_of(problem: Problem, loss: str) -> train.Head:
    """A point and Q quantiles at K horizons: outputs ``[B, K, 1 + Q]``, targets ``[B, K]``."""
    count, of_quantiles = len(problem.horizons), losses.pinball(LEVELS)
    inner = heads.quantiles(LEVELS, count)
    assert inner.transform is not None
    to_quantiles = inner.transform
    of_point = qlike_of_logs if problem.point == "qlike" else losses.resolve(loss)

    def transform(readout: jax.Array) -> jax.Array:
        points, rest = readout[..., :count, None], to_quantiles(readout[..., count:])
        rest = rest.reshape(*points.shape[:-1], len(LEVELS))
        return jnp.concatenate([points, rest], axis=-1)

    def total(outputs: jax.Array, targets: jax.Array) -> jax.Array:
        return of_point(outputs[..., 0], targets) + of_quantiles(outputs[..., 1:], targets)

    size = count * (1 + len(LEVELS))
    return heads.Head("mean_and_quantiles", size, total, lambda outputs: outputs, transform)


def qlike_of_logs(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """QLIKE of logarithms of variances."""
    return losses.qlike(outputs, jnp.exp(targets), log_outputs=True)


def make_model(problem: Problem, recipe: Recipe) -> tuple[train.Model, train.Head]:
    head = head_of(problem, recipe.loss)
    inputs = train.inputs.numbers(problem.features.shape[1])
    cell = lj.cells.make(recipe.cell, recipe.size)
    return train.network(cell, inputs, head, dropout=recipe.dropout), head


def net_entry(name: str, problem: Problem, recipe: Recipe, seeds: int) -> Entry:
    """A net's row."""
    model, head = make_model(problem, recipe)
    optimizer = optax.chain(
        optax.clip_by_global_norm(CLIP),
        optax.adamw(recipe.learning_rate, weight_decay=recipe.weight_decay),
    )

    def run(trial: Trial) -> dict[str, float]:
        found, splits = [], problem.splits()
        for number, (start, steps) in enumerate(splits):
            part = trial.part(f"block {number + 1}", number, len(splits))
            prepared = prepare(problem, recipe, start)
            fitted = train.fit(
                model, rows_at(prepared, recipe, prepared.learn),
                validation=rows_at(prepared, recipe, prepared.check), loss=head.loss,
                optimizer=optimizer, epochs=recipe.epochs, batch_size=recipe.batch_size,
                early_stopping=recipe.patience, key=part.key, checkpoint=part.checkpoint,
                progress=part.progress,
            )  # fmt: skip
            part.save_arrays("history", **fitted.history)
            said = forecast(problem, recipe, model, fitted.params, prepared, steps)
            found.append(forecasts.at_steps(said, problem, steps))
        return forecasts.save_and_score(problem, np.concatenate(found), trial)

    return Entry(name, "net", run, range(seeds), train.count_parameters(model))


def rows_at(prepared: Prepared, recipe: Recipe, origins: np.ndarray) -> train.Dataset:
    """The windows that end at ``origins``, as far as anything is known of what comes after."""
    known = origins[np.isfinite(prepared.aims[origins]).any(axis=1)]
    return train.Dataset(
        prepared.inputs[known - (recipe.length - 1)], prepared.aims[known], missing="mask",
        in_time_order=True,
    )  # fmt: skip


def forecast(
    problem: Problem,
    recipe: Recipe,
    model: train.Model,
    params: Any,
    prepared: Prepared,
    steps: np.ndarray,
) -> np.ndarray:
    """Forecasts by origin ``[T, K, 1 + Q]``, NaN where none is needed for ``steps``."""
    origins = np.arange(steps[0] - problem.horizons[-1], steps[-1])
    outputs = train.predict(model, params, prepared.inputs[origins - (recipe.length - 1)])
    found = np.full((*prepared.base.shape, 1 + len(LEVELS)), np.nan)
    found[origins] = prepared.base[origins, :, None] + prepared.size[:, None] * outputs
    return found


def mean_entry(name: str, problem: Problem, entry: Entry) -> Entry:
    """The row of the mean of the forecasts of all trials of a net, which stands before it."""

    def run(trial: Trial) -> dict[str, float]:
        study, found, seconds = trial.folder.parents[1], [], 0.0
        for seed in entry.seeds:
            folder = study / trial_path(entry.name, seed)
            result = json.loads((folder / "result.json").read_text())
            seconds += result["seconds"]
            if result["diverged"] is None:
                with np.load(folder / "forecasts.npz") as file:
                    found.append(file["forecasts"])
        if not found:
            raise train.NonFiniteLoss(f"no trial of {entry.name} has forecasts")
        scores = forecasts.save_and_score(problem, np.mean(found, axis=0), trial)
        return scores | {"seconds": seconds}

    count = None if entry.parameters is None else entry.parameters * len(entry.seeds)
    return Entry(name, "net", run, (0,), count)


def entries(
    problem: Problem, config: Budget, base: Rule, hybrid: Rule | None = None, **options: Any
) -> list[Entry]:
    """The rows of nets, and of the mean forecasts of all trials of the first cell.

    Args:
        problem: what they forecast.
        config: with the cells and their training.
        base: what their outputs are added to.
        hybrid: a rule to which the first cell is also added, in a row of its own.
        **options: of ``Recipe``.
    """
    first, *others = config.cells
    recipe = Recipe(
        first, config.size, config.length, base, config.learning_rate, config.weight_decay,
        epochs=config.epochs, **options,
    )  # fmt: skip
    recipes = {first: recipe} | {cell: recipe._replace(cell=cell) for cell in others}
    if hybrid is not None:
        recipes[f"{hybrid.name} + {first}"] = recipe._replace(base=hybrid)
    rows = []
    for name, of_row in recipes.items():
        rows.append(net_entry(name, problem, of_row, config.seeds))
        if config.seeds > 1 and of_row.cell == first:
            rows.append(mean_entry(f"mean of {config.seeds} {name}", problem, rows[-1]))
    return rows

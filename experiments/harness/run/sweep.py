"""Sweeps over learning rates, chosen on validation data from the same grid for every contender."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from experiments.harness.run import best_rate, run_folder
from experiments.harness.run.jobs import Job, make_job, pair_seeds_and_rates
from experiments.harness.run.progress import Progress
from experiments.harness.run.runner import run_all
from experiments.harness.run.setting import Setting
from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue

GRID = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
FIRST_SEED = 1000  # beyond the seeds of comparisons


def sweep_jobs(settings: list[Setting]) -> list[Job]:
    """One job per contender and setting: every rate of the grid, with as many seeds as the
    comparison has. Raises ValueError if other rates were asked for."""
    for setting in settings:
        rates = setting.budget.learning_rate
        if rates and rates != type(setting.budget).learning_rate:  # not the experiment's own
            raise WrongValue(
                f"learning_rate: expected none beside sweep, whose rates are "
                f"{', '.join(map(str, GRID))}, got {', '.join(map(str, rates))}"
            )
    return [
        make_job(setting, contender, *pair_seeds_and_rates(GRID, sweep_seeds(setting)))
        for setting in settings
        for contender in setting.budget.contenders
    ]


def sweep_seeds(setting: Setting) -> tuple[int, ...]:
    count = checking.positive_int("seeds", setting.budget.seeds)
    return tuple(range(FIRST_SEED, FIRST_SEED + count))


def run_sweep(
    jobs: list[Job], path: Path, console: Console, *, tensorboard: bool = False
) -> dict[str, Any]:
    """Trains at all rates with the comparison's budget; prints the best and writes sweep.json."""
    with Progress(jobs, console) as progress:
        results = run_all(jobs, path, progress, sweeping=True, tensorboard=tensorboard)
    chosen: dict[str, Any] = {}
    seeds = " or ".join(map(str, sorted({len(set(job.seeds)) for job in jobs})))
    table = Table(
        title=f"Mean validation score over {seeds} seeds, by learning rate",
        caption="* the chosen rate: the best one or, if runs end when solved, the one at which "
        "most are; test data were not used",
    )
    for column in ("setting", "contender", *(f"{rate:g}" for rate in GRID)):
        table.add_column(column, no_wrap=True, justify="left" if column.isalpha() else "right")
    for job, result in zip(jobs, results, strict=True):
        means, best = best_rate.means(job, result), best_rate.best(job, result)
        by_rate = {str(rate): mean for rate, mean in means.items()}
        setting = chosen.setdefault(job.setting.task.name, {})
        setting[job.contender] = {"chosen": best, "means": by_rate}
        cells = [
            f"[bold]{format_mean(mean)}*[/]" if rate == best else f"{format_mean(mean)} "
            for rate, mean in means.items()
        ]
        table.add_row(job.setting.task.name, job.contender, *cells)
    console.print(table)
    run_folder.write_json(path / "sweep.json", chosen)
    return chosen


def format_mean(mean: float | None) -> str:
    if mean is None:
        return "diverged"
    return f"{mean:.4f}" if mean < 10 else f"{mean:.0e}"

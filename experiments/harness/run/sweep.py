"""Learning rates chosen on validation data: the same grid and seeds for every contender."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from experiments.harness.run import best_rate, run_folder
from experiments.harness.run.jobs import Job, every_pair, make_job
from experiments.harness.run.progress import Progress
from experiments.harness.run.runner import run_all
from experiments.harness.run.setting import Setting
from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue

GRID = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
FIRST_SEED = 1000  # none that a comparison takes


def sweep_jobs(settings: list[Setting]) -> list[Job]:
    """A job for each contender in each setting: every rate of the grid, each with as many seeds
    as the comparison would have. Raises ValueError for rates beside the grid."""
    for setting in settings:
        rates = setting.budget.learning_rate
        if rates and rates != type(setting.budget).learning_rate:  # not the experiment's own
            raise WrongValue(
                f"learning_rate: expected one of the two, got {', '.join(map(str, rates))} "
                f"beside sweep, whose rates are {', '.join(map(str, GRID))}"
            )
    return [
        make_job(setting, contender, *every_pair(GRID, seeds_of(setting)))
        for setting in settings
        for contender in setting.budget.contenders
    ]


def seeds_of(setting: Setting) -> tuple[int, ...]:
    count = checking.positive_int("seeds", setting.budget.seeds)
    return tuple(range(FIRST_SEED, FIRST_SEED + count))


def sweep(
    jobs: list[Job], path: Path, console: Console, *, tensorboard: bool = False
) -> dict[str, Any]:
    """Trains all rates with the comparison's own budget; chooses, prints, writes sweep.json."""
    with Progress(jobs, console) as progress:
        results = run_all(jobs, path, progress, sweeping=True, tensorboard=tensorboard)
    chosen: dict[str, Any] = {}
    seeds = " or ".join(map(str, sorted({len(set(job.seeds)) for job in jobs})))
    table = Table(
        title=f"Mean validation score over {seeds} seeds, by learning rate",
        caption="the chosen rate of each row is marked: the best, or where runs end solved the one "
        "at which most do; test data were not looked at",
    )
    for column in ("setting", "contender", *(f"{rate:g}" for rate in GRID)):
        table.add_column(column, no_wrap=True, justify="left" if column.isalpha() else "right")
    for job, result in zip(jobs, results, strict=True):
        means, best = best_rate.means(job, result), best_rate.best(job, result)
        by_rate = {str(rate): mean for rate, mean in means.items()}
        setting = chosen.setdefault(job.setting.task.name, {})
        setting[job.contender] = {"chosen": best, "means": by_rate}
        cells = [
            f"[bold]{shown(mean)}*[/]" if rate == best else f"{shown(mean)} "
            for rate, mean in means.items()
        ]
        table.add_row(job.setting.task.name, job.contender, *cells)
    console.print(table)
    run_folder.write_json(path / "sweep.json", chosen)
    return chosen


def shown(mean: float | None) -> str:
    if mean is None:
        return "diverged"
    return f"{mean:.4f}" if mean < 10 else f"{mean:.0e}"

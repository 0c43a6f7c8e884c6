"""Learning rates chosen on validation data: the same grid and seeds for every contender."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from experiments import folder as run_folder
from experiments import rates
from experiments.jobs import Job, every_pair, make_job
from experiments.progress import Progress
from experiments.runner import run_all
from experiments.setting import Setting

GRID = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
SEEDS = (1000, 1001, 1002)  # none that a comparison takes


def sweep_jobs(settings: list[Setting]) -> list[Job]:
    """A job for each contender in each setting: every rate of the grid with every seed."""
    runs = every_pair(GRID, SEEDS)
    return [make_job(s, name, *runs) for s in settings for name in s.budget.contenders]


def sweep(
    jobs: list[Job], path: Path, console: Console, *, tensorboard: bool = False
) -> dict[str, Any]:
    """Trains all rates with the comparison's own budget; chooses, prints, writes sweep.json."""
    with Progress(jobs, console) as progress:
        results = run_all(jobs, path, progress, sweeping=True, tensorboard=tensorboard)
    chosen: dict[str, Any] = {}
    table = Table(
        title=f"Mean validation score over {len(SEEDS)} seeds, by learning rate",
        caption="the best of each row is marked; test data were not looked at",
    )
    for column in ("setting", "contender", *(f"{rate:g}" for rate in GRID)):
        table.add_column(column, no_wrap=True, justify="left" if column.isalpha() else "right")
    for job, result in zip(jobs, results, strict=True):
        means, best = rates.means(job, result), rates.best(job, result)
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

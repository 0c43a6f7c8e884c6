"""Are the runs of an experiment faster side by side (vmap) or one after another on a device?

    python -m benchmarks.studies.seeds

Prints the steps per second of all runs together, for programs that the experiments themselves run:
an LSTM on adding at T = 100, ten runs, divided among the devices. ``SMALL`` in
``experiments/harness/run/compiled.py`` was chosen by this.
"""

import statistics
import sys

from rich.console import Console
from rich.table import Table

import lstm_jax as lj

SIZES = ((1, 4), (1, 16), (1, 48), (8, 16), (32, 16), (32, 32))  # batch size, hidden size
RUNS, STEPS, LENGTH = 10, 10, 100


def main(sizes: tuple[tuple[int, int], ...] = SIZES, rounds: int = 5, budget: float = 10.0) -> int:
    lj.use_cpu_cores()
    from benchmarks.harness.timing import alternate
    from experiments.harness.run.compiled import Programs
    from experiments.harness.run.jobs import make_job
    from experiments.harness.run.setting import Budget, Setting, cell_model
    from lstm_jax import tasks, train

    table = Table(title=f"steps/s, LSTM, T = {LENGTH}, {RUNS} runs, median of {rounds} rounds")
    for column in ("batch", "hidden", "parameters x batch", "in turn", "side by side", "ratio"):
        table.add_column(column, justify="right")
    task = tasks.make("adding", length=LENGTH)
    for batch_size, size in sizes:
        parameters = train.count_parameters(train.recurrent(lj.lstm(size), 2, 1))
        calls = {}
        for vectorize in ("no", "yes"):
            budget_of = Budget(
                steps=STEPS, every=STEPS, batch_size=batch_size, parameters=parameters,
                vectorize=vectorize, learning_rate=(0.01,),
            )  # fmt: skip
            setting = Setting(task, budget_of, model=cell_model)
            job = make_job(setting, "lstm", tuple(range(RUNS)), (0.01,) * RUNS)
            calls[vectorize] = Programs(job).time_chunk
        times = alternate(calls, rounds, budget)
        turn, side = (1e3 * RUNS * STEPS / statistics.median(times[name]) for name in calls)
        table.add_row(
            f"{batch_size}", f"{size}", f"{batch_size * parameters}", f"{turn:.0f}", f"{side:.0f}",
            f"{side / turn:.2f}",
        )  # fmt: skip
    Console(width=100).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())

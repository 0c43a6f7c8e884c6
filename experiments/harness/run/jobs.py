"""Jobs: the runs of one contender in one setting, and everything that decides their numbers."""

import dataclasses
import math
import re
from typing import Any, NamedTuple

from experiments.harness.run.setting import Setting, Training, rename_argument
from lstm_jax import train
from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.tasks import Success


class Job(NamedTuple):
    """The runs of one contender in one setting, which differ in seed and perhaps learning rate."""

    setting: Setting
    contender: str
    model: train.Model
    parameters: int
    seeds: tuple[int, ...]  # one per run
    learning_rates: tuple[float, ...]  # one per run
    rate_source: str = ""  # where the rates come from, as in ``learning_rates.Rates``

    @property
    def name(self) -> str:
        return f"{self.setting.task.name} {self.contender}"

    @property
    def folder(self) -> str:
        return f"{slug(self.setting.task.name)}/{slug(self.contender)}"

    def run_name(self, run: int) -> str:
        """The name of a run, for errors."""
        rate = self.learning_rates[run]
        return f"{self.name}, seed {self.seeds[run]}, learning rate {rate:g}"

    def as_config(self) -> dict[str, Any]:
        """Everything that decides the numbers, as JSON; a run continues only if it is the same."""
        budget, success = self.setting.budget, self.setting.task.success
        names = {field.name for field in dataclasses.fields(Training)} - {"learning_rate"}
        return {
            "hidden_size": self.model.size,
            "parameters": self.parameters,
            **{name: getattr(budget, name) for name in sorted(names)},
            "seeds": list(self.seeds),
            "learning_rates": list(self.learning_rates),
            **({} if success is None else {"success": describe_criterion(success)}),
            **budget.options,
        }

    def optimizer(self, learning_rate: Any) -> Any:
        """The optimizer at this rate. Raises ValueError for invalid options."""
        budget = self.setting.budget
        optimizer = train.optimizer(
            budget.optimizer, learning_rate,
            clip=budget.clip, schedule=budget.schedule, warmup=budget.warmup, steps=budget.steps,
        )  # fmt: skip
        return self.setting.optimizer(optimizer)


def describe_criterion(success: Success) -> str:
    """The criterion of success in words."""
    conditions = []
    if math.isfinite(success.limit):
        conditions.append(f"each error below {success.limit:g}")
    if math.isfinite(success.mean_limit):
        conditions.append(f"their mean below {success.mean_limit:g}")
    where = "validation data"
    if success.on == "training":
        where = f"the last {success.rows} training sequences"
    return f"{', '.join(conditions)}, on {where} ({success.source})"


def comparison_jobs(setting: Setting) -> list[Job]:
    """A job per contender, with seeds 0, 1, 2, ... at each of the contender's learning rates."""
    seeds = tuple(range(checking.positive_int("seeds", setting.budget.seeds)))
    jobs = []
    for contender in setting.budget.contenders:
        rates = setting.rates(contender)
        job = make_job(setting, contender, *pair_seeds_and_rates(rates.values, seeds))
        jobs.append(job._replace(rate_source=rates.source))
    return jobs


def pair_seeds_and_rates(
    rates: tuple[float, ...], seeds: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Every seed at every rate: the seeds and the rates of the runs."""
    if len(set(rates)) != len(rates):
        raise WrongValue(f"learning_rate: expected different rates, got {rates}")
    return seeds * len(rates), tuple(rate for rate in rates for _ in seeds)


def make_job(
    setting: Setting, contender: str, seeds: tuple[int, ...], rates: tuple[float, ...]
) -> Job:
    """The runs of one contender. Raises ValueError for an invalid budget."""
    budget, task = setting.budget, setting.task
    every = checking.positive_int("every", budget.every)
    if budget.seconds is None and budget.steps % every:
        raise WrongValue(f"steps: expected a multiple of every, {budget.every}, got {budget.steps}")
    for name in ("steps", "batch_size"):
        checking.positive_int(name, getattr(budget, name))
    positive = {"seconds": budget.seconds, "clip": budget.clip}
    for name, value in (*positive.items(), *(("learning_rate", rate) for rate in rates)):
        if value is not None and checking.real(name, value) <= 0:
            raise WrongValue(f"{name}: expected a number above 0, got {value}")
    if budget.seconds is not None and budget.schedule != "constant":
        raise WrongValue(
            f"schedule: expected constant beside seconds, got {budget.schedule}, which needs the "
            "number of steps"
        )
    if budget.until_solved and task.success is None:
        raise WrongValue(
            f"until_solved: expected a task with a criterion of success, got {task.name}"
        )
    model = setting.model(task, budget, contender)
    job = Job(setting, contender, model, train.count_parameters(model), seeds, rates)
    with rename_argument("name", "optimizer"):
        job.optimizer(rates[0])
    return job


def slug(name: str) -> str:
    """The name of a folder: "adding_100" for "adding(100)", with "minus" for a minus sign."""
    return re.sub(r"\W+", "_", re.sub(r"(?<=[=,(]) *-(?=[\d.])", " minus ", name)).strip("_")

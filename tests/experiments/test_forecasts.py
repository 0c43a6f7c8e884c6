"""The studies of series: nothing of the test part leaks, and scores are what they are called."""

import json
import types

import numpy as np
import pytest

from experiments.__main__ import main
from experiments.harness.run.jobs import slug
from experiments.harness.run.trials import plan
from experiments.series import (
    _forecasts,
    _nets,
    air_quality,
    airline,
    prices,
    sunspots,
    temperatures,
    visitors,
)
from experiments.series._forecasts import LEVELS, Problem, Rule
from lstm_jax import train
from lstm_jax.tasks.series import AirQuality, Series
from lstm_jax.train import series


def steps_of(unit, count, first="2010-01-01"):
    return np.datetime64(first, unit) + np.arange(count)


def noise(count, columns=1, seed=0):
    return np.random.default_rng(seed).normal(size=(count, columns))


@pytest.fixture
def made_up(monkeypatch):
    """Made-up series in the place of the published ones, with short test parts."""
    waves = np.sin(np.arange(420) / 5)[:, None]
    climbing = np.exp(0.01 * np.arange(72) + 0.1 * noise(72)[:, 0])[:, None]
    walk = 1000 * np.exp(np.cumsum(0.01 * noise(300), axis=0))
    wide = np.exp(0.01 * np.abs(noise(300, seed=1)) + 1e-4)
    walk = np.concatenate([walk, walk * wide, walk / wide, walk, 1e9 * wide], axis=1)
    dust = np.exp(noise(500))
    dust[[0, 50, 451]] = np.nan
    air = np.concatenate([dust, np.abs(noise(500, 6, seed=2))], axis=1)
    columns = ("pm2.5", "dew_point", "temperature", "pressure", "wind_speed", "snow", "rain")
    views = np.exp(3 + noise(420))
    views[100] = np.nan
    made = {
        "temperatures": Series(steps_of("D", 420), waves + 0.1 * noise(420), ("temperature",)),
        "sunspots": Series(steps_of("M", 420), np.square(waves), ("sunspots",)),
        "airline": Series(steps_of("M", 72), climbing, ("passengers",)),
        "sp500": Series(
            steps_of("D", 300, "2014-05-01"), walk, ("open", "high", "low", "close", "volume")
        ),
        "air_quality": AirQuality(
            steps_of("h", 500, "2013-12-14"), air, columns, np.arange(500, dtype=np.int32) % 4,
            ("NE", "NW", "SE", "cv"),
        ),
        "visitors": Series(steps_of("D", 420), views, ("views",)),
    }  # fmt: skip
    readers = types.SimpleNamespace(**{name: lambda one=one: one for name, one in made.items()})
    for module, test in (
        (temperatures, 40), (sunspots, 60), (airline, 12), (visitors, 40), (prices, None),
        (air_quality, None),
    ):  # fmt: skip
        monkeypatch.setattr(module, "data", readers)
        if test is not None:
            monkeypatch.setattr(module, "TEST", test)
    return made


MODULES = (temperatures, sunspots, airline, air_quality, prices, visitors)


@pytest.mark.usefixtures("made_up")
@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.split(".")[-1])
@pytest.mark.parametrize("validate", [False, True])
def test_every_study_can_be_planned(module, validate):
    config = module.Config(seeds=2, validate=validate)
    studies = module.studies(config)
    trials = plan(studies)
    for study in studies:
        kinds = {entry.kind for entry in study.entries}
        assert {"baseline", "linear", "net"} == kinds
        problem = study.findings.keywords["problem"]
        starts, parts = zip(*problem.splits(), strict=True)
        assert len(starts) == config.blocks and starts[0] == problem.test
        np.testing.assert_array_equal(
            np.concatenate(parts), np.arange(problem.test, len(problem.target))
        )
        assert set(study.findings.keywords["shown"]) <= {entry.name for entry in study.entries}
    assert sum(trial.entry.kind == "net" for trial in trials) > 3


def problem_of(values, **options):
    features = np.stack([values, np.arange(len(values)) % 7], axis=1)
    return Problem(values, features, test=60, blocks=2, unit="m", horizons=(1, 4), **options)


def rule_of(values, **options):
    return Rule("AR(3)", "linear", series.linear(3), values, **options)


def test_what_is_fitted_before_a_block_depends_on_nothing_after_it():
    values = noise(80)[:, 0]
    later = values.copy()
    later[60:] = 1e3
    recipe = _nets.Recipe("gru", 4, 5, rule_of(values))
    seen = _nets.prepare(problem_of(values), recipe, 60)
    other = _nets.prepare(problem_of(later), recipe._replace(base=rule_of(later)), 60)
    for name in ("aims", "size", "learn", "check"):
        np.testing.assert_array_equal(getattr(seen, name), getattr(other, name))
    origins = np.concatenate([seen.learn, seen.check])
    np.testing.assert_array_equal(seen.base[origins], other.base[origins])
    np.testing.assert_array_equal(seen.inputs[origins - 4], other.inputs[origins - 4])
    # The aims of the last origin that is trained on end before the part that stops training.
    held_out = 60 - int(0.15 * 60)
    assert seen.learn[-1] + 4 < held_out <= seen.check[0] + 1
    assert seen.check[-1] + 4 < 60
    assert np.isnan(seen.aims[59]).all() and np.isnan(seen.aims[56, 1])


def test_forecasts_by_origin_are_those_of_the_steps():
    values = noise(80)[:, 0]
    problem, rule = problem_of(values), rule_of(values)
    said = _forecasts.forecast_by_rule(problem, rule)
    assert said.shape == (20, 2, 1 + len(LEVELS))
    for at, horizon in enumerate((1, 4)):
        for start in (60, 70):
            rows = np.arange(start, start + 10)
            expected = series.forecasts(
                rule.baseline, values, train=start, rows=rows, horizon=horizon
            )
            np.testing.assert_allclose(said[rows - 60, at, 0], expected)
    once = _forecasts.forecast_by_rule(problem, rule._replace(refit=False))
    expected = series.forecasts(rule.baseline, values, train=60, rows=np.arange(60, 80))
    np.testing.assert_allclose(once[:, 0, 0], expected)


def test_scores_are_those_computed_by_hand():
    values = np.exp(noise(80)[:, 0])
    problem = problem_of(np.log(values), to_unit=np.exp, time="h")
    forecasts = np.sort(noise(40, 6, seed=3), axis=1).reshape(20, 2, 6)
    scores, wanted = _forecasts.score(problem, forecasts), values[60:]
    errors = wanted[:, None] - np.exp(forecasts[:, 1, 1:])
    pinball = np.maximum(np.array(LEVELS) * errors, (np.array(LEVELS) - 1) * errors).mean()
    assert scores["pinball at 4 h in m"] == pytest.approx(pinball, rel=1e-5)
    rmse = np.sqrt(np.mean((wanted - np.exp(forecasts[:, 1, 0])) ** 2))
    assert scores["RMSE at 4 h in m"] == pytest.approx(rmse, rel=1e-5)
    scale = np.abs(np.diff(values[:60])).mean()
    assert scores["MASE at 4 h"] == pytest.approx(np.abs(errors[:, 2]).mean() / scale, rel=1e-5)
    inside = (errors[:, 0] >= 0) & (errors[:, -1] <= 0)
    assert scores["coverage of 90 % at 4 h"] == pytest.approx(inside.mean())


def test_qlike_of_a_net_is_that_of_its_variance():
    logs = noise(80)[:, 0]
    problem = Problem(logs, logs[:, None], 60, 2, "%", point="qlike")
    said = noise(20, 6, seed=4)[:, None]
    ratio = np.exp(logs[60:] - said[:, 0, 0])
    expected = np.mean(ratio - np.log(ratio) - 1)
    assert _forecasts.score(problem, said)["QLIKE"] == pytest.approx(expected, rel=1e-5)
    head = _nets.head_of(problem, "mse")
    outputs = np.float32(said)
    quantiles = train.losses.pinball(LEVELS)(outputs[..., 1:], np.float32(logs[60:, None]))
    values = head.loss(outputs, np.float32(logs[60:, None])) - quantiles
    assert float(values.mean()) == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
@pytest.mark.usefixtures("made_up")
@pytest.mark.parametrize("name", ["air_quality", "prices"])
def test_a_study_comes_to_its_end(tmp_path, name):
    options = {"seeds": 2, "epochs": 2, "size": 4, "length": 6, "blocks": 2, "cells": "gru"}
    given = [word for name, value in options.items() for word in (f"--{name}", f"{value}")]
    out = tmp_path / name
    assert main([name, *given, "--out", str(out)]) == 0
    results = json.loads((out / "results.json").read_text())
    for study in results["studies"]:
        rows = {row["entry"]: row for row in study["entries"]}
        assert all(np.isfinite(score["center"]) for row in rows.values()
                   for score in row["scores"].values())  # fmt: skip
        folder = out / slug(study["study"])
        forecasts = [
            np.load(folder / entry / f"seed_{seed}" / "forecasts.npz")["forecasts"]
            for entry, seed in (("gru", 0), ("gru", 1), ("mean_of_2_gru", 0))
        ]
        np.testing.assert_allclose(forecasts[2], (forecasts[0] + forecasts[1]) / 2)
        assert (np.diff(forecasts[0][..., 1:]) >= 0).all()  # quantiles do not cross
        for file in study["figures"].values():
            assert (out / file).read_bytes().startswith(b"\x89PNG")

"""Nets and simple models on few examples: what is drawn, what is chosen, and a tiny run."""

import json

import jax
import numpy as np
import pytest
from sklearn.linear_model import Ridge

from experiments import __main__ as command
from experiments.general import _data_need_figures, _data_need_models, _data_need_sets, data_need
from experiments.harness.run import trials
from experiments.harness.run.study import Column, Entry, Results, Study, Trial
from lstm_jax.tasks import series, text
from lstm_jax.tasks.series import Series
from tests.experiments import handmade_reviews

DAYS = 400
NETS = _data_need_sets.Nets(("lstm",), hidden=4, steps=40)


@pytest.fixture
def made(monkeypatch):
    """Made-up reviews and temperatures, which follow the day before and the season."""
    monkeypatch.setattr(text, "movie_reviews", handmade_reviews.reviews)
    noise = np.random.default_rng(0).normal(size=DAYS)
    values = 10 + 5 * np.sin(np.arange(DAYS) / 58) + noise
    dates = np.arange(DAYS).astype("datetime64[D]")
    monkeypatch.setattr(
        series, "temperatures", lambda: Series(dates, values[:, None], ("temperature",))
    )
    return values


def trial(folder):
    return Trial(0, folder, jax.random.key(0), lambda *_: None)


def test_the_first_rows_have_as_many_of_each_class():
    labels = np.repeat([0, 1, 2], [30, 30, 12])
    rows = _data_need_models.balanced(labels, 0)
    np.testing.assert_array_equal(np.sort(rows), np.arange(72))
    np.testing.assert_array_equal(np.bincount(labels[rows[:15]]), [5, 5, 5])
    np.testing.assert_array_equal(np.bincount(labels[rows[36:]]), [18, 18])
    assert (rows != _data_need_models.balanced(labels, 1)).any()


def test_fewer_examples_are_the_first_of_more_and_the_test_part_stays():
    labels = np.arange(100) % 2
    small, large = (_data_need_models.draw(labels, 3, count) for count in (10, 40))
    np.testing.assert_array_equal(small.test, large.test)
    np.testing.assert_array_equal(small.seen, large.seen[:10])
    assert [len(rows) for rows in large] == [32, 8, 20]
    assert len(np.unique(np.concatenate(large))) == 60


def test_examples_of_a_series_are_days_in_a_row_before_the_test(made):
    data = _data_need_sets.temperatures(NETS)
    assert data.total == DAYS - 80 - _data_need_sets.LAGS
    firsts = set()
    for seed in range(5):
        fold = data.draw(seed, 50)
        rows = np.concatenate([fold.train, fold.validation])
        np.testing.assert_array_equal(np.diff(rows), 1)
        assert rows[0] >= 0 and rows[-1] < fold.test[0] and len(fold.validation) == 10
        np.testing.assert_array_equal(fold.test + _data_need_sets.LAGS, np.arange(DAYS - 80, DAYS))
        firsts.add(rows[0])
    assert len(firsts) == 5
    np.testing.assert_array_equal(data.draw(0, data.total).seen, np.arange(data.total))


def test_the_last_value_and_the_chosen_ridge_by_hand(made, tmp_path):
    data = _data_need_sets.temperatures(NETS)
    learners = {learner.name: learner for learner in data.learners}
    fold = data.draw(0, 100)
    last = learners["last value"].score(fold, trial(tmp_path))
    np.testing.assert_allclose(last, np.sqrt(np.mean((made[-80:] - made[-81:-1]) ** 2)))
    lags = np.stack([made[day - 30 : day] for day in range(30, DAYS)])
    wanted = made[30:]

    def forecasts(penalty, rows, asked):
        mean, scale = lags[rows].mean(axis=0), lags[rows].std(axis=0)
        model = Ridge(alpha=penalty).fit((lags[rows] - mean) / scale, wanted[rows])
        return model.predict((lags[asked] - mean) / scale)

    errors = [
        np.mean((forecasts(p, fold.train, fold.validation) - wanted[fold.validation]) ** 2)
        for p in _data_need_models.PENALTIES
    ]
    best = _data_need_models.PENALTIES[int(np.argmin(errors))]
    expected = np.sqrt(np.mean((forecasts(best, fold.seen, fold.test) - made[-80:]) ** 2))
    found = learners["ridge regression"].score(fold, trial(tmp_path))
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def results_of(scores, higher):
    """Results of one seed, from scores by entry."""
    columns = [Column(f"{size} examples", higher) for size in (10, 20, 30)]
    kinds = {"net": "net", "line": "linear", "none": "baseline"}
    entries = [Entry(name, kinds[name], dict) for name in scores]
    study = Study("made", "", columns, entries, {})
    found = {
        (name, 0): {
            "scores": {column.name: value for column, value in zip(columns, of, strict=True)}
        }
        for name, of in scores.items()
    }
    return Results(study, None, found)


@pytest.mark.parametrize(
    ("net", "line", "start"),
    [
        ([1, 5, 9], [3, 3, 3], 20),
        ([4, 5, 9], [3, 3, 3], 10),
        ([4, 2, 9], [3, 3, 3], 30),
        ([4, 5, 3], [3, 3, 3], None),
        ([4, 5, None], [3, 3, 3], None),
    ],
)
def test_where_a_net_overtakes(net, line, start):
    results = results_of({"none": [0, 0, 0], "line": line, "net": net}, True)
    assert _data_need_figures.overtakes(results, "net", "line", [10, 20, 30]) == start
    lower = results_of({"line": [-x for x in line], "net": [x and -x for x in net]}, False)
    assert _data_need_figures.overtakes(lower, "net", "line", [10, 20, 30]) == start
    text = _data_need_figures.sentence(results, ["net"], ["line"], [10, 20, 30])
    assert (f"better than line from {start} examples" in text) == (start is not None)


def test_all_sets_are_planned(made):
    found = data_need.studies(data_need.Config())
    assert len(trials.plan(found)) == 3 * (6 + 7 + 6)
    columns = [column.name for column in found[0].columns]
    assert columns == ["30 examples", "100 examples", "300 examples", "1000 examples",
                       "1438 examples"]  # fmt: skip
    with pytest.raises(ValueError, match="sizes: expected 10 examples or more, got 5"):
        data_need.studies(data_need.Config(sizes=(5,)))
    with pytest.raises(ValueError, match="sets: expected one of digits, reviews"):
        data_need.studies(data_need.Config(sets=("letters",)))


@pytest.mark.slow
def test_the_experiment_runs(made, tmp_path, monkeypatch):
    monkeypatch.setattr(_data_need_sets, "WORDS", 30)
    out = tmp_path / "run"
    args = ["--sizes", "30", "--seeds", "2", "--steps", "40", "--hidden", "4", "--cells", "lstm"]
    args += ["--sets", "reviews", "temperatures"]
    assert command.main(["data_need", *args, "--out", str(out)]) == 0
    found = json.loads((out / "results.json").read_text())["studies"]
    reviews, temperatures = (
        {row["entry"]: row["scores"]["30 examples"]["center"] for row in study["entries"]}
        for study in found
    )
    assert reviews["naive Bayes"] > 75 and reviews["commonest class"] == pytest.approx(50, abs=7)
    # Days differ by the noise of two; 30 days say nothing of the other seasons.
    assert temperatures["last value"] == pytest.approx(2**0.5, abs=0.3)
    assert temperatures["last value"] < temperatures["ridge regression"] < temperatures["lstm"]
    report = (out / "report.md").read_text()
    assert report.count("From how many examples on") == 2 and report.count("](") == 2

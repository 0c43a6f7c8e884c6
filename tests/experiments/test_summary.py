"""The summary of results: made by hand here, so that all numbers are known."""

import math
import types

import numpy as np
import pytest

from experiments.harness.report import curves, overview, report, summary
from lstm_jax.tasks import Score, Success
from tests.experiments import handmade
from tests.experiments.handmade import contender, setting

LOSS = Score("MSE", None, False, 0.2)
ACCURACY = Score("accuracy", None, True, 0.1)


def test_the_interval_is_the_bootstrap_of_the_median():
    assert summary.bootstrap_interval([3.0, 1.0, 2.0], LOSS) == [
        1.0,
        3.0,
    ]  # 7 of 27 draws have each median
    values = [float(value) for value in (5, 1, 9, 2, 8, 3, 7, 4, 6)]

    def up_to(k):  # the share of drawn medians that are no larger than the k-th smallest value
        share = k / 9
        return sum(math.comb(9, n) * share**n * (1 - share) ** (9 - n) for n in range(5, 10))

    low, high = (next(k for k in range(1, 10) if up_to(k) >= q) for q in (0.025, 0.975))
    assert summary.bootstrap_interval(values, LOSS) == [low, high] == [2.0, 8.0]


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0.5, 0.5, 0.5], [0.5, 0.5]), ([0.5, 0.25], None), ([0.5, None, 0.25, 0.125], None)],
)
def test_intervals_of_equal_of_few_and_of_diverged_scores(values, expected):
    assert summary.bootstrap_interval(values, LOSS) == expected


def success(limit, mean_limit, on):
    return Success(None, limit, mean_limit, 2000, "a paper", on)


@pytest.mark.parametrize(
    ("criterion", "text"),
    [
        (success(0.04, 0.01, "training"), "each error below 0.04, their mean below 0.01, on the "
         "last 2000 training sequences (a paper)"),
        (success(np.inf, 0.01, "held-out"), "their mean below 0.01, on validation data (a paper)"),
        (success(0.5, np.inf, "held-out"), "each error below 0.5, on validation data (a paper)"),
    ],
)  # fmt: skip
def test_the_criterion_in_words(criterion, text):
    assert summary.describe_criterion(criterion) == text


def made_job(score):
    """Two rates with three seeds each, with the fields of a job that a summary reads."""
    namespace = types.SimpleNamespace
    task = namespace(name="made", score=score, success=None, scores=())
    budget = namespace(batch_size=8, until_solved=False, seconds=None)
    return namespace(
        setting=namespace(task=task, budget=budget, lag=None, published={"rnn": "0.1 (a paper)"}),
        contender="rnn", model=namespace(size=7), parameters=77,
        seeds=(0, 1, 2) * 2, learning_rates=(0.1,) * 3 + (0.01,) * 3, rate_source="",
    )  # fmt: skip


def test_a_contender_is_told_at_its_best_rate_alone():
    result = {
        "validation": [0.1, None, 0.1, 0.2, 0.2, 0.2],  # one run diverged: no rate to choose
        "test": [0.0, None, 0.0, 0.5, 0.25, None],
        "solved": [None] * 6,
        "steps": 40,
        "seconds": 12.0,
        "curve": [{"step": 20}, {"step": 40}],
        "further": {
            "scores": {"by length": {"3": [0, 1, 2, 3, 4, 5]}},
            "texts": ["A text."],
            "figures": [],
        },
    }
    (summarized,) = summary.summarize("x", [made_job(LOSS)], [result])["settings"]
    (row,) = summarized["contenders"]
    assert summarized["further"] == {"by length": {"rnn": {"3": [3, 4, 5]}}}
    assert summarized["texts"] == ["A text."]
    assert row["learning_rate"] == 0.01 and row["learning_rates"] == [0.01, 0.1]
    assert row["test"] == [0.5, 0.25, None] and row["seeds"] == [0, 1, 2]
    assert (row["best"], row["median"], row["worst"]) == (0.25, 0.5, None)
    assert row["interval"] is None and row["published"] == "0.1 (a paper)"


def test_the_best_score_is_the_largest_where_higher_is_better():
    result = {
        "validation": [0.5] * 3 + [0.9] * 3, "test": [0.5] * 3 + [0.25, 1.0, 0.5],
        "solved": [None] * 6, "steps": 40, "seconds": 1.0, "curve": [{"step": 40}],
    }  # fmt: skip
    (summarized,) = summary.summarize("x", [made_job(ACCURACY)], [result])["settings"]
    (row,) = summarized["contenders"]
    assert (row["best"], row["median"], row["worst"]) == (1.0, 0.5, 0.25)
    assert row["interval"] == [0.25, 1.0]


def test_sequences_to_success_are_the_median_of_all_runs():
    assert summary.median_sequences({"solved": [100, None, 300]}) == 300
    assert summary.median_sequences({"solved": [100, None, None]}) is None
    assert summary.median_sequences({"solved": [100, 300]}) == 200
    assert summary.count_solved({"solved": [100, None, 0]}) == 2


def test_columns_that_say_nothing_are_left_out():
    plain = setting("made", contender("rnn"), success=None)
    columns, rows = report.make_table(plain)
    assert columns == ["contender", "hidden size", "parameters", "learning rate", "median",
                       "best to worst", "seconds"]  # fmt: skip
    assert rows == [["rnn", "7", "77", "0.01", "0.5000", "0.5000 to 0.5000", "12"]]
    full = setting("made", contender("rnn", published="0.9"), contender("gru", solved=(8, 16)))
    columns, rows = report.make_table(full)
    assert columns[-4:] == ["solved", "sequences", "published", "seconds"]
    assert [row[-4:] for row in rows] == [["0 of 2", "-", "0.9", "12"], ["2 of 2", "12", "", "12"]]


def test_the_heading_says_the_budget_and_the_caption_what_is_easy():
    parts = contender("rnn", steps=50), contender("gru", steps=90)
    text = report.setting_title(
        setting("made", *parts, until_solved=True, seconds=1.5, batch_size=1)
    )
    assert text == ("made: test accuracy, higher is better (2 seeds, at most 50 to 90 steps of "
                    "1 sequence in 1.5 s)")  # fmt: skip
    text = report.setting_title(setting("made", *parts[:1]))
    assert text == "made: test accuracy, higher is better (2 seeds, 50 steps of 8 sequences)"
    text = report.describe_chance(setting("made", memoryless=0.5))
    assert text == ("chance: 0.2500; without memory: 0.5000; solved: each error below 0.5, on "
                    "validation data (a paper)")  # fmt: skip
    ended = report.describe_chance(setting("made", memoryless=0.5, until_solved=True))
    assert ended == text + ", which ends a run"
    assert report.describe_chance(setting("made", success=None)) == "chance: 0.2500"


def many():
    """Two lags of one kind, two of another, and a task without a lag or a criterion."""
    yes, half, no = (8, 16), (8, None), (None, None)
    loss = {"score": "MSE", "direction": "lower is better", "chance": 0.2}
    return handmade.summary(
        setting("adding(50)", contender("lstm", median=0.0, solved=yes),
                contender("rnn", median=0.05, solved=yes), lag=50, **loss),
        setting("adding(200)", contender("lstm", median=0.1, solved=yes),
                contender("rnn", median=0.3, solved=half), lag=200, **loss),
        setting("copy(10)", contender("lstm", median=0.25, solved=no), lag=10),
        setting("copy(20)", contender("lstm", median=1.0, solved=half), lag=20),
        setting("digits", contender("lstm", median=0.75), contender("rnn", median=None),
                memoryless=0.5, success=None),
    )  # fmt: skip


def test_the_overview_is_of_all_settings_and_contenders():
    assert overview.is_needed(many()) and not overview.is_needed(handmade.summary(setting("a")))
    columns, rows = overview.make_table(many())
    assert columns == ["task", "lstm", "rnn"]
    assert rows == [
        ["adding(50)", "1.00 (2/2)", "0.75 (2/2)"],
        ["adding(200)", "0.50 (2/2)", "0.00 (1/2)"],
        ["copy(10)", "0.00 (0/2)", ""],
        ["copy(20)", "1.00 (1/2)", ""],
        ["digits", "0.50", "diverged"],
        ["solved", "2 of 4", "1 of 2"],
    ]


def test_the_longest_lag_is_one_that_most_runs_solve():
    columns, rows = overview.longest_lags(many())
    assert columns == ["longest lag solved", "lstm", "rnn"]
    assert rows == [["adding (of 50, 200)", "200", "50"], ["copy (of 10, 20)", "-", "-"]]
    assert overview.longest_lags(handmade.summary(setting("adding(50)", lag=50))) is None
    assert overview.longest_lags(handmade.summary(setting("digits"))) is None


def test_figures_over_all_settings_are_written_where_there_is_something_to_draw(tmp_path):
    overview.draw_overview(many(), tmp_path / "overview.png")
    assert curves.draw_lags(many(), tmp_path / "lags.png") is True
    for name in ("overview", "lags"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    one_lag = handmade.summary(setting("adding(50)", contender("rnn"), lag=50))
    assert curves.draw_lags(one_lag, tmp_path / "none.png") is False
    assert curves.draw_lags(handmade.summary(setting("digits")), tmp_path / "none.png") is False
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lags.png", "overview.png"]


@pytest.fixture
def panels(monkeypatch):
    """The panels of the figures that would be saved."""
    saved = []
    monkeypatch.setattr(curves, "save_figure", lambda made, path: saved.extend(made.axes))
    return saved


def test_a_figure_by_length_says_whose_chance_it_shows(panels):
    rows = {
        "rnn": {"40 steps (length 30)": [0.5, 0.7], "4 to 6 steps (length 3)": [0.9, 1.0]},
        "gru": {"40 steps (length 30)": [None, 0.5], "4 to 6 steps (length 3)": [1.0, 1.0]},
    }
    title = "accuracy by length in steps, trained on 1 to 5 steps"
    curves.draw_by_length(title, rows, None, chance=0.25)
    (panel,) = panels
    lines = {line.get_label(): line for line in panel.lines}
    assert list(lines) == ["rnn", "gru", "chance at the trained lengths"]
    np.testing.assert_array_equal(lines["rnn"].get_xdata(), [5, 40])
    np.testing.assert_allclose(lines["rnn"].get_ydata(), [0.95, 0.6])
    assert panel.get_ylabel() == "accuracy" and panel.get_xlabel() == "length in steps"
    assert panel.get_ylim() == (-0.02, 1.02)


def test_a_loss_above_1_is_in_the_figure(panels):
    curves.draw_by_length("MSE by length", {"rnn": {"5": [0.5], "40": [3.0]}}, None,
                   higher_is_better=False)  # fmt: skip
    low, high = panels[0].get_ylim()
    assert low == 0 and high >= 3

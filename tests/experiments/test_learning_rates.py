"""The learning rates of contenders and tasks for which no sweep has chosen one."""

import dataclasses
import json

import pytest

from experiments.__main__ import main
from experiments.general import suite
from experiments.harness import conduct
from experiments.harness.run.jobs import comparison_jobs
from experiments.harness.run.learning_rates import (
    TRIED_RATES,
    ChosenRate,
    describe_sources,
    nearest_rates,
    rates_from_defaults,
)
from experiments.harness.run.setting import Budget, Setting
from experiments.images import digits
from experiments.language import reversal
from experiments.memory import adding
from lstm_jax import tasks

TRIED_TEXT = "of 0.001, 0.003 and 0.01, the best on validation data, since no sweep has chosen one"


@pytest.mark.parametrize(
    ("length", "rate", "source"),
    [
        (30, 1.0, "chosen at length 100, the nearest to 30"),
        (100, 1.0, ""),
        (149, 1.0, "chosen at length 100, the nearest to 149"),
        (150, 1.0, "chosen at length 100, the nearest to 150"),
        (151, 2.0, "chosen at length 200, the nearest to 151"),
        (10_000, 2.0, "chosen at length 200, the nearest to 10000"),
    ],
)
def test_the_rate_of_the_nearest_length(length, rate, source):
    rates = nearest_rates({200: {"lstm": 2.0}, 100: {"lstm": 1.0, "gru": 3.0}}, length)
    assert rates["lstm"] == ChosenRate(rate, source)
    assert rates["gru"].rate == 3.0  # the only length that has one


def rates_on_adding(length, *cells, **options):
    (setting,) = adding.settings(adding.Config(lengths=(length,), cells=cells, **options))
    return [tuple(setting.rates(cell)) for cell in cells]


def test_a_cell_takes_its_own_rate_then_that_of_the_cell_without_options_then_one_of_three():
    assert rates_on_adding(100, "lstm", "irnn") == [((1e-2,), ""), ((3e-3,), "")]
    assert rates_on_adding(30, "gru") == [((3e-2,), "chosen at length 100, the nearest to 30")]
    assert rates_on_adding(200, "lstm(peephole=True)") == [((3e-2,), "chosen for lstm")]
    assert rates_on_adding(400, "lstm(peephole=True)") == [
        ((3e-2,), "chosen for lstm at length 200, the nearest to 400")
    ]
    assert rates_on_adding(100, "mgu", "lstm_1997(block_size=2)") == 2 * [(TRIED_RATES, TRIED_TEXT)]


def test_rates_that_are_given_need_no_source():
    assert rates_on_adding(30, "mgu", learning_rate=(0.5, 0.1)) == [((0.5, 0.1), "")]


def test_a_rate_of_another_optimizer_is_not_taken():
    ((rates, source),) = rates_on_adding(100, "lstm", optimizer="sgd(momentum=0.9)")
    assert rates == TRIED_RATES and source == f"{TRIED_TEXT} with sgd(momentum=0.9)"
    assert rates_on_adding(100, "lstm", optimizer="adam(b1=0.8)") == [((1e-2,), "")]


def test_every_seed_runs_at_each_rate_that_is_tried():
    config = adding.Config(lengths=(4,), cells=("mgu", "rnn"), seeds=2)
    mgu, rnn = comparison_jobs(adding.settings(config)[0])
    assert mgu.learning_rates == (1e-3, 1e-3, 3e-3, 3e-3, 1e-2, 1e-2) and mgu.seeds == 3 * (0, 1)
    assert mgu.as_config()["learning_rates"] == list(mgu.learning_rates)
    assert rnn.learning_rates == (1e-4, 1e-4)
    assert (mgu.rate_source, rnn.rate_source) == (
        TRIED_TEXT,
        "chosen at length 100, the nearest to 4",
    )


def test_digits_and_the_suite_say_whose_rate_a_cell_has():
    (setting,) = digits.settings(digits.Config())
    assert tuple(setting.rates("rnn")) == ((1e-3,), "")
    assert tuple(setting.rates("rnn(activation='relu')")) == ((1e-3,), "chosen for rnn")
    assert setting.rates("lru").values == TRIED_RATES
    cells = ("lstm", "lstm(peephole=True)", "irnn(activation='tanh')", "mgu")
    config = suite.Config(tasks=("adding(length=4)",), cells=cells, seconds=1.0)
    (setting,) = suite.settings(config)
    rates = [tuple(setting.rates(cell)) for cell in cells]
    assert rates[:3] == [
        ((1e-2,), ""),
        ((1e-2,), "chosen for lstm"),
        ((1e-3,), "chosen for irnn"),
    ]
    assert rates[3] == (
        (1e-2,),
        "0.01, the suite's rate for all cells but plain RNNs, since no sweep has chosen one",
    )


def test_what_writes_sequences_says_at_which_length_and_cell_its_rate_was_chosen():
    config = reversal.Config(max_length=2)
    (setting,) = reversal.settings(config)
    assert tuple(setting.rates("additive")) == ((3e-3,), "chosen at max length 20")
    assert setting.rates("general").values == TRIED_RATES
    options = ("max_length", "symbols", "cell")
    config = dataclasses.replace(config, cell="gru")
    source = "chosen at max length 20 and cell lstm"
    assert rates_from_defaults({"fixed": 3e-3}, config, *options) == {
        "fixed": ChosenRate(3e-3, source)
    }
    assert rates_from_defaults({"fixed": 3e-3}, reversal.Config(), *options) == {
        "fixed": ChosenRate(3e-3)
    }


def test_an_unknown_contender_is_refused_though_rates_would_be_tried():
    setting = Setting(tasks.make("adding", length=4), Budget(cells=("lsmt",)))
    message = r"cells: expected one of .*, got 'lsmt' .did you mean 'lstm'"
    with pytest.raises(ValueError, match=message):
        conduct.plan([setting], sweeping=False)


def test_the_sentence_has_the_contenders_of_each_source_together():
    sources = {"lstm": "chosen elsewhere", "gru": "", "rnn": "chosen elsewhere", "mgu": "of three"}
    assert describe_sources("adding(30)", sources) == (
        "Learning rates on adding(30): lstm and rnn: chosen elsewhere; mgu: of three."
    )
    assert describe_sources("adding(100)", {"lstm": "", "gru": ""}) == ""


@pytest.mark.slow
def test_a_length_without_rates_is_trained_and_told(tmp_path, capsys):
    out = tmp_path / "run"
    command = "adding --lengths 5 --cells rnn mgu --seeds 1 --parameters 40 --steps 10 --every 10"
    sentence = (
        "Learning rates on adding(5): rnn: chosen at length 100, the nearest to 5; "
        f"mgu: {TRIED_TEXT}."
    )
    assert main([*command.split(), "--out", str(out), "--dry-run"]) == 0
    assert sentence in " ".join(capsys.readouterr().out.split())
    assert main([*command.split(), "--out", str(out)]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert text.count(sentence) == 2  # before it is trained, and below the table
    assert sentence in (out / "report.md").read_text()
    config = json.loads((out / "config.json").read_text())["adding(5)"]
    assert config["rnn"]["learning_rates"] == [1e-4]
    assert config["mgu"]["learning_rates"] == list(TRIED_RATES)
    (setting,) = json.loads((out / "results.json").read_text())["settings"]
    rnn, mgu = setting["contenders"]
    assert rnn["learning_rate"] == 1e-4
    result = json.loads((out / "adding_5" / "mgu" / "result.json").read_text())
    best = min(range(3), key=result["validation"].__getitem__)
    assert mgu["learning_rate"] == TRIED_RATES[best] and mgu["test"] == [result["test"][best]]

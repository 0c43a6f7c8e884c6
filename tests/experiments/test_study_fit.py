"""A study whose net is trained by ``train.fit``: progress, a kill in an epoch, text from it."""

import json

import numpy as np
import pytest

from experiments import __main__ as command
from experiments.harness.run.trial_progress import TrialProgress
from lstm_jax.train import progress
from tests.experiments import tiny_fit
from tests.experiments.tiny_fit import PERPLEXITY


@pytest.fixture(scope="module")
def main():
    """The command, which knows the tiny experiment; ``fit`` shows every batch."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(command.THEMES, "tiny_fit", "general")
        patch.setattr(command, "load", lambda name: tiny_fit)
        patch.setattr(progress, "SECONDS_BETWEEN", -1.0)
        yield command.main


@pytest.fixture(scope="module")
def whole(main, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "whole"
    assert main(["tiny_fit", "--out", str(out)]) == 0
    return out


def history(out):
    with np.load(out / "rhyme" / "gru" / "seed_0" / "history.npz") as file:
        return dict(file)


def test_the_net_learns_and_stands_beside_the_baseline(whole):
    (study,) = json.loads((whole / "results.json").read_text())["studies"]
    baseline, net = (row["scores"][PERPLEXITY]["center"] for row in study["entries"])
    assert net < baseline
    found = history(whole)["validation_perplexity"]
    assert len(found) == 6 and net == pytest.approx(found.min(), rel=1e-5)


def test_a_study_that_is_interrupted_in_an_epoch_continues_in_it(
    main, whole, tmp_path, monkeypatch, capsys
):
    out, shown = tmp_path / "run", []

    def show(self, trial, fraction, text=""):
        shown.append((fraction, text))
        if fraction > 0.6 and trial.entry.name == "gru":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TrialProgress, "show", show)
        assert main(["tiny_fit", "--out", str(out)]) == 130
    assert "the same command continues from here" in capsys.readouterr().err
    stopped, text = shown[-1]
    assert text.startswith("epoch 4 of 6: loss ") and "validation perplexity" in text
    shown.clear()

    def note(self, trial, fraction, text=""):
        shown.append((fraction, text))

    monkeypatch.setattr(TrialProgress, "show", note)
    assert main(["tiny_fit", "--out", str(out)]) == 0
    epochs = [fraction for fraction, text in shown if text.startswith("epoch")]
    assert min(epochs) > stopped and max(epochs) == 1
    for name, values in history(whole).items():
        np.testing.assert_array_equal(history(out)[name], values)
    results = [json.loads((path / "results.json").read_text()) for path in (whole, out)]
    one, other = (result["studies"][0]["entries"][1]["scores"] for result in results)
    assert one == other


def test_the_net_writes(main, whole, capsys):
    capsys.readouterr()
    assert main(["generate", str(whole), "--prompt", "one tw", "--length", "20"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("one tw") and len(text) == 6 + 20 + 1

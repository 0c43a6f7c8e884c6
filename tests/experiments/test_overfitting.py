"""Remedies against overfitting: parts without a sentence in common, and the experiment, tiny."""

import json

import numpy as np
import pytest
from scipy import stats

from experiments import __main__ as command
from experiments.harness.run import trials
from experiments.language import _overfitting_figures, overfitting
from lstm_jax.tasks import text
from tests.experiments import handmade_reviews


@pytest.fixture
def reviews(monkeypatch):
    made = handmade_reviews.reviews()
    monkeypatch.setattr(text, "movie_reviews", lambda: made)
    return made


def test_parts_share_no_sentence_and_seeds_differ(reviews):
    config = overfitting.Config(sentences=20, tested=39)
    folds = [overfitting.draw(reviews, config, seed) for seed in (0, 0, 1)]
    assert [len(rows) for rows in folds[0]] == [20, 20, 39]
    assert len(np.unique(reviews.groups[np.concatenate(folds[0])])) == 79
    assert all((one == other).all() for one, other in zip(*folds[:2], strict=True))
    assert (folds[0].train != folds[2].train).any()


def test_all_remedies_are_planned_for_the_same_parameters(reviews):
    config = overfitting.Config(sentences=20, tested=30)
    (study,) = overfitting.studies(config)
    assert len(trials.plan([study])) == 5 * len(overfitting.REMEDIES)
    assert {entry.parameters for entry in study.entries} == {
        4000 * 32 + 4 * 32 * (32 + 32 + 1) + 2 * 33
    }
    with pytest.raises(ValueError, match="sentences: expected at most 79 in all parts, got 82"):
        overfitting.studies(overfitting.Config(sentences=26, tested=30))


def test_means_with_their_interval():
    values = np.array([1.0, 2.0, 4.0])
    low, high = stats.t.interval(0.95, 2, values.mean(), stats.sem(values))
    text = f"{values.mean():+.2f} [{low:+.2f}, {high:+.2f}]"
    assert _overfitting_figures.format_mean(values, 2) == text
    assert _overfitting_figures.format_mean(values[:2], 1) == "+1.5"


@pytest.mark.slow
def test_the_experiment_runs(reviews, tmp_path, monkeypatch):
    """With every remedy; without one, the loss of what is learnt from falls below the others'."""
    monkeypatch.setattr(overfitting, "WORDS", 30)
    out = tmp_path / "run"
    args = ["--sentences", "24", "--tested", "30", "--seeds", "2", "--epochs", "12"]
    args += ["--embedding", "8", "--hidden", "8", "--batch-size", "8", "--learning-rate", "0.03"]
    assert command.main(["overfitting", *args, "--out", str(out)]) == 0
    (study,) = json.loads((out / "results.json").read_text())["studies"]
    assert study["study"] == "MR, 24 sentences"
    losses = {
        row["entry"]: row["scores"][overfitting.TRAINING_LOSS]["center"] for row in study["entries"]
    }
    assert set(losses) == set(overfitting.REMEDIES)
    assert losses[overfitting.NOTHING] < 0.1
    assert losses[overfitting.NOTHING] < losses["weight decay 1"]
    best = []
    for seed in (0, 1):
        folder = out / "MR_24_sentences" / "no_remedy" / f"seed_{seed}"
        with np.load(folder / "history.npz") as history:
            assert history["loss"].shape == history["validation_loss"].shape == (12,)
            best.append(np.argmin(history["validation_loss"]) + 1)
    report, turn = (out / "report.md").read_text(), np.median(best)
    if turn < 12:
        assert f"the validation loss turns after epoch {turn:.0f} of 12" in report
    else:
        assert "the validation loss falls to the end, epoch 12" in report

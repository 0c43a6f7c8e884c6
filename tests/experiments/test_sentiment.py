"""Film reviews: folds that leak nothing, simple models by hand, and the whole experiment, tiny."""

import json

import jax
import numpy as np
import pytest
from scipy import stats

from experiments import __main__ as command
from experiments.harness.run import trials
from experiments.harness.run.study import Trial
from experiments.language import _reviews, _sentiment_figures, sentiment
from lstm_jax.tasks import Vocabulary, text
from lstm_jax.tasks.vocabulary import UNKNOWN
from tests.experiments import handmade_reviews


@pytest.fixture
def reviews(monkeypatch):
    made = handmade_reviews.reviews()
    monkeypatch.setattr(text, "movie_reviews", lambda: made)
    return made


def test_folds_share_no_sentence_and_have_as_many_of_each_class(reviews):
    folds = _reviews.folds(reviews, 4)
    tested = np.sort(np.concatenate([fold.test for fold in folds]))
    np.testing.assert_array_equal(tested, np.arange(80))
    for fold in folds:
        parts = [set(reviews.groups[rows]) for rows in fold]
        assert sum(map(len, parts)) == len(set.union(*parts)) == 79
        assert sum(map(len, fold)) == 80
        assert abs(np.mean(reviews.labels[fold.test]) - 0.5) < 0.06
        assert set(reviews.labels[fold.validation]) == {0, 1}
        np.testing.assert_array_equal(np.sort(fold.seen), np.sort([*fold[0], *fold[1]]))
    assert any(set(a.test) != set(b.test) for a, b in zip(folds, _reviews.folds(reviews, 4, 1),
                                                         strict=True))  # fmt: skip


def test_the_vocabulary_is_that_of_the_rows_that_are_learnt_from(reviews):
    rows = np.array([0, 1, 4, 40])  # "the film is dull", "... poor", "the story is dull", ... fine
    words = _reviews.read_words(reviews, rows, size=8)
    assert words.vocabulary.tokens[4:] == ("is", "the", "film", "dull")
    only = _reviews.read_words(reviews, rows, size=6).vocabulary
    assert only == Vocabulary((*words.vocabulary.tokens[:4], "is", "the"))
    data = words.dataset(np.array([1, 79]))
    batch = data.read(np.arange(2), 2, 4)
    np.testing.assert_array_equal(batch.xs[:, 0], words.vocabulary.encode(reviews.tokens[1]))
    assert batch.xs[3, 0] == batch.xs[1, 1] == UNKNOWN
    np.testing.assert_array_equal(batch.targets, [0, 1])


def test_naive_bayes_by_hand(reviews):
    rows = np.array([0, 1, 40])
    model = _reviews.naive_bayes(reviews, rows)
    grams = [_reviews.ngrams(reviews.tokens[row]) for row in rows]
    assert grams[0] == ["the", "film", "is", "dull", "the film", "film is", "is dull"]
    known = sorted({gram for row in grams for gram in row})
    counts = np.array([[row.count(gram) for gram in known] for row in grams])
    per_class = np.stack([counts[:2].sum(axis=0), counts[2]]) + 1.0
    logs = np.log(per_class / per_class.sum(axis=1, keepdims=True))
    sentence = ["the", "plot", "is", "fine", "fine", "dull"]
    tested = _reviews.ngrams(sentence)
    seen = np.array([tested.count(gram) for gram in known])
    scores = logs @ seen + np.log([2 / 3, 1 / 3])
    found = model.predict_log_proba([sentence])[0]
    np.testing.assert_allclose(found, scores - np.logaddexp(*scores), rtol=1e-6)


def test_the_linear_model_is_chosen_without_the_test_rows(reviews):
    fold = _reviews.folds(reviews, 4)[0]
    labels = reviews.labels.copy()
    labels[fold.test] = 1 - labels[fold.test]
    tokens = [["odd"] if row in fold.test else of for row, of in enumerate(reviews.tokens)]
    other = reviews._replace(labels=labels, tokens=tokens)
    one, another = _reviews.logistic(reviews, fold), _reviews.logistic(other, fold)
    sentences = [["fine", "film"], ["dull", "idea"], ["odd"]]
    np.testing.assert_array_equal(one.predict_proba(sentences), another.predict_proba(sentences))
    assert one.predict(sentences[:2]).tolist() == [1, 0]
    assert _reviews.accuracy(one, reviews, fold.test) > 90


def test_the_interval_of_a_mean_over_folds():
    differences = np.array([1.0, 2, 0, 3, -1])
    error = np.sqrt((1 / 5 + 1 / 4) * 2.5)
    expected = 1 + np.array([-1, 1]) * stats.t.ppf(0.975, 4) * error
    np.testing.assert_allclose(_sentiment_figures.interval_of_mean(differences), expected)


def test_all_settings_are_planned(reviews):
    (study,) = sentiment.studies(sentiment.Config())
    assert len(trials.plan([study])) == 60
    parameters = {entry.name: entry.parameters for entry in study.entries}
    assert parameters["LSTM"] == 8500 * 50 + 4 * 64 * (50 + 64 + 1) + 2 * 65
    (study,) = sentiment.studies(sentiment.Config(choose=True))
    count = len(sentiment.NETS) * len(sentiment.CHANGES)
    assert len(trials.plan([study])) == sentiment.CHOOSING * count
    with pytest.raises(ValueError, match="folds: expected 2 or more"):
        sentiment.studies(sentiment.Config(folds=1))


TINY = ["--folds", "2", "--words", "14", "--embedding", "4", "--epochs", "3", "--batch-size", "8"]


@pytest.mark.slow
def test_the_experiment_runs(reviews, tmp_path, monkeypatch):
    small = {name: net._replace(hidden=4) for name, net in sentiment.NETS.items()}
    monkeypatch.setattr(sentiment, "NETS", small)
    monkeypatch.setattr(_sentiment_figures, "SHORTEST", 3)
    monkeypatch.setattr(_sentiment_figures, "RARE", 1)
    monkeypatch.setattr(_sentiment_figures, "LISTED", 2)
    assert command.main(["sentiment", *TINY, "--out", str(tmp_path / "run")]) == 0
    report = (tmp_path / "run" / "report.md").read_text()
    (study,) = json.loads((tmp_path / "run" / "results.json").read_text())["studies"]
    scores = {row["entry"]: row["scores"][sentiment.ACCURACY] for row in study["entries"]}
    assert scores[sentiment.BAYES]["center"] > 95
    assert set(scores) >= set(sentiment.NETS)
    assert "Points above naive Bayes" in report and report.count("](MR_") == 3
    with np.load(tmp_path / "run" / "MR" / "LSTM" / "seed_0" / "explained.npz") as explained:
        assert np.all(explained["gap"] < 1e-3)
        assert explained["values"].shape[1:] == (4,)


@pytest.mark.slow
def test_a_net_knows_nothing_of_the_test_fold(reviews, tmp_path):
    """With other words and labels in the test fold, all but the test accuracy is the same."""
    config = sentiment.Config(words=14, embedding=4, epochs=3, batch_size=8)
    folds = _reviews.folds(reviews, 2)
    labels, tokens = reviews.labels.copy(), list(reviews.tokens)
    labels[folds[0].test] = 1 - labels[folds[0].test]
    for row in folds[0].test:
        tokens[row] = ["something", "else", "entirely"]
    other = reviews._replace(labels=labels, tokens=tokens)
    found = []
    for name, data in {"one": reviews, "other": other}.items():
        (tmp_path / name).mkdir()
        trial = Trial(0, tmp_path / name, jax.random.key(0), lambda *_: None)
        entry = sentiment.net_entry("net", sentiment.Net(4), config, data, folds)
        found.append(entry.run(trial))
    accuracies = [scores.pop(sentiment.ACCURACY) for scores in found]
    assert found[0] == found[1] and accuracies[0] != accuracies[1]

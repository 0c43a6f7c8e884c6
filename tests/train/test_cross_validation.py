import warnings

import jax
import numpy as np
import optax
import pytest

from lstm_jax import train
from lstm_jax.train import series
from lstm_jax.train.checkpoint import CheckpointError
from tests.train.finite import KEY, assert_equal, mean_model, ragged

model_selection = pytest.importorskip("sklearn.model_selection")
KFold, GroupKFold = model_selection.KFold, model_selection.GroupKFold

ROWS, TARGETS = ragged(48)
CLASSES = (np.argsort(np.argsort(TARGETS)) >= 36).astype(int)
DATA = train.Dataset(ROWS, TARGETS)
MODEL, OPTIMIZER = mean_model(noise=0.1), optax.adam(0.1)
SPLITTER = KFold(4, shuffle=True, random_state=0)


def cross_validate(data, splitter, model=MODEL, **options):
    defaults = dict(
        loss="mse", metrics=["mae", "r2"], optimizer=OPTIMIZER, epochs=3, batch_size=4, key=KEY,
        progress=False,
    )  # fmt: skip
    return train.cross_validate(model, data, splitter, **{**defaults, **options})


def scale(training, test):
    size = np.concatenate(training.inputs).std()
    return tuple(part.replace(inputs=[row / size for row in part.inputs])
                 for part in (training, test))  # fmt: skip


@pytest.mark.parametrize(
    "share, prepare", [pytest.param(0.0, None, marks=pytest.mark.slow), (0.2, scale)]
)
def test_it_equals_a_loop_by_hand(share, prepare):
    stopping = 2 if share else None
    found = cross_validate(
        DATA, SPLITTER, validation_share=share, prepare=prepare, early_stopping=stopping,
        predictions=True,
    )  # fmt: skip
    losses, maes, answers = [], [], np.zeros((48, 1), np.float32)
    for i, (training_rows, test_rows) in enumerate(SPLITTER.split(ROWS)):
        key = jax.random.fold_in(KEY, i)
        training, test = DATA.take(training_rows), DATA.take(test_rows)
        if prepare:
            training, test = prepare(training, test)
        validation = None
        if share:
            training, validation = train.hold_out(training, share, key=key)
        fitted = train.fit(
            MODEL, training, validation=validation, loss="mse", optimizer=OPTIMIZER, epochs=3,
            metrics=["mae", "r2"] if share else [], batch_size=4, early_stopping=stopping, key=key,
            progress=False,
        )  # fmt: skip
        assert_equal(fitted._replace(compiles=0), found.fitted[i]._replace(compiles=0))
        scores = train.evaluate(
            MODEL, fitted.params, test, loss="mse", metrics=["mae"], batch_size=4
        )
        losses.append(scores["loss"])
        maes.append(scores["mae"])
        answers[test_rows] = train.predict(MODEL, fitted.params, test, batch_size=4)
        assert found.folds[i][0].tolist() == training_rows.tolist()
        assert found.folds[i][1].tolist() == test_rows.tolist()
    assert list(found.scores) == ["loss", "mae", "r2"]
    assert found.scores["loss"].tolist() == losses and found.scores["mae"].tolist() == maes
    assert found.mean["mae"] == pytest.approx(np.mean(maes))
    assert found.std["mae"] == pytest.approx(np.std(maes, ddof=1))
    np.testing.assert_array_equal(found.predictions, answers)


@pytest.mark.parametrize("prepare", [pytest.param(None, marks=pytest.mark.slow), scale])
def test_all_folds_run_the_same_programs(prepare):
    calls = []
    model = mean_model(calls=calls)
    data = train.Dataset(*ragged(151, longest=40))
    found = cross_validate(
        data, SPLITTER, model, epochs=1, validation_share=0.2, prepare=prepare, predictions=True
    )
    assert [fitted.compiles for fitted in found.fitted] == [4, 0, 0, 0]
    compiled = [shape for shape in calls if shape.values[1] > 2]
    assert len({shape.values for shape in compiled}) <= 8  # buckets of training and of evaluation
    assert len(compiled) <= 4 + 8 + 8


def test_scalers_see_the_training_part_alone():
    parts = []

    def prepare(training, test):
        parts.append((len(training), len(test), training.inputs, test.inputs))
        return training, test

    cross_validate(DATA, SPLITTER, prepare=prepare, epochs=1)
    for (training_rows, test_rows), part in zip(SPLITTER.split(ROWS), parts, strict=True):
        assert part[:2] == (36, 12)
        assert all(a is ROWS[row] for a, row in zip(part[2], training_rows, strict=True))
        assert all(a is ROWS[row] for a, row in zip(part[3], test_rows, strict=True))


def test_early_stopping_looks_at_a_part_of_the_training_rows():
    """A test part full of surprises changes nothing but its own score."""
    [(training, test)] = list(SPLITTER.split(ROWS))[:1]
    options = dict(validation_share=0.3, early_stopping=1, epochs=20)
    found = cross_validate(DATA, [(training, test)], **options)
    targets = TARGETS.copy()
    targets[test] = 1e6
    other = cross_validate(train.Dataset(ROWS, targets), [(training, test)], **options)
    assert_equal(found.fitted[0], other.fitted[0]._replace(compiles=found.fitted[0].compiles))
    assert found.fitted[0].epochs < 20 and found.mean["loss"] < other.mean["loss"]
    assert np.isnan(found.std["loss"])


def test_splitters_of_scikit_learn():
    data = train.Dataset(ROWS, CLASSES, groups=np.arange(48) // 5)
    options = dict(loss="cross_entropy", metrics=["accuracy"], model=mean_model(2), epochs=1)
    stratified = model_selection.StratifiedKFold(4, shuffle=True, random_state=0)
    found = cross_validate(train.Dataset(ROWS, CLASSES), stratified, **options)
    assert [CLASSES[test].sum() for _, test in found.folds] == [3, 3, 3, 3]
    found = cross_validate(data, GroupKFold(3), validation_share=0.2, **options)
    for training, test in found.folds:
        assert not set(data.groups[training]) & set(data.groups[test])
    leave_one_out = model_selection.LeaveOneGroupOut()
    assert len(cross_validate(data, leave_one_out, **options).folds) == 10
    in_time = train.Dataset(ROWS, CLASSES, in_time_order=True)
    splits = model_selection.TimeSeriesSplit(3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = cross_validate(in_time, splits, predictions=True, **options)
        assert np.isnan(found.predictions[:12]).all() and np.isfinite(found.predictions[12:]).all()
        cross_validate(in_time, series.ExpandingWindow(30, 9), **options)
        cross_validate(in_time, series.expanding_splits(48, first=30, step=9), **options)
        cross_validate(in_time, iter([(np.arange(20), np.arange(48) > 40)]), **options)


def test_leaks_are_warned_of():
    options = dict(epochs=1, metrics=())
    in_time = train.Dataset(ROWS, TARGETS, in_time_order=True)
    with pytest.warns(UserWarning, match="fold 0 trains on rows that are later in time") as found:
        cross_validate(in_time, SPLITTER, **options)
    assert len(found) == 1
    grouped = train.Dataset(ROWS, TARGETS, groups=np.arange(48) // 5)
    with pytest.warns(
        UserWarning, match="fold 0 trains on rows of group 0, .* GroupKFold"
    ) as found:
        cross_validate(grouped, SPLITTER, **options)
    assert len(found) == 1


def test_predictions_at_every_step():
    data = train.Dataset(ROWS, [row[:, 0] for row in ROWS], per="step")
    model = mean_model(every=True)
    found = cross_validate(data, [(np.arange(24), [40, 30])], model, predictions=True, epochs=1)
    assert [i for i, row in enumerate(found.predictions) if row is not None] == [30, 40]
    for row in (30, 40):
        alone = train.predict(model, found.fitted[0].params, [ROWS[row]])[0]
        np.testing.assert_allclose(found.predictions[row], alone, atol=1e-6)


@pytest.mark.slow
def test_sources():
    records = [(row, target) for row, target in zip(ROWS, TARGETS, strict=True)]
    source = train.Source(records, lengths=[len(row) for row in ROWS])
    options = dict(epochs=1, validation_share=0.2)
    a, b = (cross_validate(data, SPLITTER, **options) for data in (DATA, source))
    assert a.scores["loss"].tolist() == b.scores["loss"].tolist()


@pytest.mark.slow
def test_a_killed_cross_validation_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr("lstm_jax.train.progress.SECONDS_BETWEEN", -1.0)
    options = dict(validation_share=0.2)
    straight = cross_validate(DATA, SPLITTER, **options)
    options |= dict(checkpoint=tmp_path, seconds_between_checkpoints=0.0)

    def progress(event):
        assert event.folds == 4
        if (event.fold, event.epoch, event.batch) == (3, 1, 2):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cross_validate(DATA, SPLITTER, **options, progress=progress)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [
        "fold_0", "fold_1", "fold_2", "folds.json"
    ]  # fmt: skip
    events = []
    found = cross_validate(DATA, SPLITTER, **options, progress=events.append)
    assert {event.fold for event in events} == {3, 4}
    assert [of._replace(compiles=0).history for of in found.fitted] == [
        of.history for of in straight.fitted
    ]
    assert_equal(found.scores, straight.scores)
    assert_equal([of.params for of in found.fitted], [of.params for of in straight.fitted])
    with pytest.raises(CheckpointError, match=r"same folds, .* needs a random_state"):
        cross_validate(DATA, KFold(4, shuffle=True, random_state=1), **options)


def test_progress_counts_folds(capsys):
    cross_validate(DATA, SPLITTER, epochs=1, progress=True)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        f"fold {fold} of 4, epoch 1 of 1" for fold in (1, 2, 3, 4)
    ]


@pytest.mark.parametrize(
    "data, splitter, options, message",
    [
        (train.Streams(np.arange(9), window=3), SPLITTER, {}, "data"),
        (DATA, 5, {}, "splitter: expected one of scikit-learn"),
        (DATA, "KFold", {}, "splitter: expected one of scikit-learn"),
        (DATA, [], {}, "splitter: expected at least one fold"),
        (DATA, [np.arange(3)], {}, r"splitter: expected pairs \(train, test\)"),
        (DATA, [([0, 1], [48])], {}, "splitter: fold 0: rows: expected numbers below 48"),
        (DATA, [([0, 1], [2]), ([0, 1], [])], {}, "got 2 and 0 in fold 1"),
        (DATA, [([0, 1, 2], [3, 1])], {}, "got row 1 in both parts of fold 0"),
        (DATA, KFold(60), {}, "splitter: expected one that can split these 48 rows, got KFold: "),
        (DATA, GroupKFold(3), {}, "GroupKFold: .*groups"),
        (DATA, model_selection.StratifiedKFold(3), {}, "StratifiedKFold: .*continuous"),
        (DATA, SPLITTER, dict(batch_size=40), "batch_size: expected at most 36"),
        (DATA, SPLITTER, dict(validation_share=1.0), "validation_share"),
        (DATA, SPLITTER, dict(early_stopping=3), "validation_share: expected a share above 0"),
        (DATA, SPLITTER, dict(prepare=lambda a, b: a), "prepare: expected it to return two data"),
        (DATA, SPLITTER, dict(prepare=lambda a, b: (a, a)), "prepare: expected the 12 rows"),
        (
            DATA,
            model_selection.RepeatedKFold(n_splits=2, n_repeats=2),
            dict(predictions=True),
            "predictions: expected a splitter that tests each row once at most, .* 2 times",
        ),
    ],
)
def test_wrong_arguments(data, splitter, options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        cross_validate(data, splitter, **options)

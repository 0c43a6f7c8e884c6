import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lstm_jax as lj
from lstm_jax import train
from lstm_jax.train.data.buckets import epoch_batches, make_buckets
from lstm_jax.train.program import make_program
from tests.train.finite import (
    KEY,
    assert_close,
    assert_equal,
    fit,
    language_model,
    mean_model,
    padded,
    ragged,
    text,
)

ROWS, TARGETS = ragged()
DATA = train.Dataset(ROWS, TARGETS)


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_ragged_rows_train_as_padded_ones_and_as_rows_one_by_one(every):
    rng = np.random.default_rng(0)
    rows = [rng.normal(size=(length, 2)).astype(np.float32) for length in (3, 1, 3, 2, 1)]
    targets = [row[:, 0] * 2 if every else row.sum() for row in rows]
    model = train.network(
        lj.lstm(3), train.inputs.numbers(2), train.heads.regression(),
        reads="every" if every else "last",
    )  # fmt: skip
    params = model.init(KEY)
    per = "step" if every else "sequence"
    options = dict(params=params, batch_size=5, epochs=3, optimizer=optax.sgd(0.5))
    found = fit(model, train.Dataset(rows, targets, per=per), **options)
    wide, lengths = padded(rows, steps=5)
    wide_targets = padded(targets, steps=5)[0] if every else np.array(targets)
    same = fit(model, train.Dataset(wide, wide_targets, lengths=lengths, per=per), **options)
    assert_equal(found.params, same.params)

    @jax.jit
    def gradient(params, row, target):
        def total(params):
            outputs = model.apply(params, row[:, None])
            return jnp.square(outputs[..., 0, 0] - target).sum()

        return jax.value_and_grad(total)(params)

    count = sum(map(len, rows)) if every else len(rows)
    for epoch in range(3):
        losses, gradients = zip(
            *[gradient(params, row, target) for row, target in zip(rows, targets, strict=True)],
            strict=True,
        )
        assert found.history["loss"][epoch] == pytest.approx(sum(losses) / count, rel=1e-5)
        params = jax.tree.map(lambda p, *gs: p - 0.5 * sum(gs) / count, params, *gradients)
    assert_close(found.params, params, rtol=1e-4)


def test_a_longer_bucket_changes_nothing_within_a_batch():
    model = train.network(lj.lstm(3), train.inputs.numbers(2), train.heads.regression())
    params = model.init(KEY)
    program = make_program(model, train.losses.mse, optax.sgd(0.1), "sequence")
    found = []
    for longest in (6, 11):
        state = train.TrainState(jax.tree.map(jnp.copy, params), optax.sgd(0.1).init(params), 0)
        batch = DATA.read(np.arange(4), 3, longest)
        state, _, mean, count = program(state, None, batch, KEY)
        assert count == 3
        found.append((state.params, mean))
    assert_close(found[0], found[1])


def test_training_equals_a_loop_by_hand():
    model, optimizer = mean_model(noise=0.1), optax.adam(0.1)
    data = train.Dataset(*ragged(70))
    found = fit(model, data, optimizer=optimizer, epochs=3, batch_size=4, buckets=3)
    key_init, key_noise, key_order = jax.random.split(KEY, 3)
    words = tuple(int(word) for word in jax.random.key_data(key_order))
    params = model.init(key_init)
    state, step, shapes = optimizer.init(params), 0, set()
    buckets = make_buckets(data.lengths, 3, 4)
    for epoch in range(3):
        seen, total = [], 0.0
        for item in epoch_batches(buckets, 4, words, epoch):
            batch = data.read(item.rows, item.real, buckets[item.bucket].longest)
            shapes.add(batch.xs.values.shape)

            def loss(params, batch=batch, step=step):
                outputs = model.apply(params, batch.xs, key=jax.random.fold_in(key_noise, step))
                return jnp.where(batch.counts, jnp.square(outputs[:, 0] - batch.targets), 0).sum()

            value, gradient = jax.value_and_grad(loss)(params)
            gradient = jax.tree.map(lambda g, n=item.real: g / n, gradient)
            updates, state = optimizer.update(gradient, state)
            params = optax.apply_updates(params, updates)
            total += float(value)
            step += 1
            seen += [*item.rows[: item.real]]
        assert sorted(seen) == list(range(70))
        assert found.history["loss"][epoch] == pytest.approx(total / 70, rel=1e-4)
    assert_close(found.params, params, rtol=1e-3, atol=1e-4)
    assert found.compiles == len(shapes) == 3
    assert (found.epochs, found.best_epoch, int(found.last.step)) == (3, 3, step)


def test_programs_are_compiled_once_for_a_model_a_loss_and_an_optimizer():
    calls = []
    model, optimizer = mean_model(calls=calls), optax.sgd(0.1)
    data = train.Dataset(*ragged(70))
    options = dict(optimizer=optimizer, loss="huber(delta=0.5)", metrics=["mae", "r2"])
    assert fit(model, data, validation=data, **options).compiles == 4  # one for each bucket
    calls.clear()
    again = fit(model, data, validation=data, **options, key=jax.random.key(1))
    assert again.compiles == 0
    assert fit(model, data.take(np.arange(65)), **options | {"metrics": ()}).compiles == 0
    assert all(shape.values[1] == 1 for shape in calls)  # only the checks, on shapes of one row


def test_the_best_epoch_is_restored():
    model = mean_model()
    data, held_out = DATA, train.Dataset(*ragged(9, seed=1))
    options = dict(optimizer=optax.adam(0.4), metrics=["mae"])
    every = [fit(model, data, epochs=n, **options | {"metrics": ()}) for n in range(1, 15)]
    losses = [
        train.evaluate(model, of.params, held_out, loss="mse", batch_size=4)["loss"] for of in every
    ]
    best = int(np.argmin(losses))
    assert 0 < best < 10 and losses[best + 1 :] != sorted(losses[best + 1 :])
    found = fit(model, data, validation=held_out, epochs=14, **options)
    assert found.history["validation_loss"] == losses
    assert found.best_epoch == best + 1 and found.epochs == 14
    assert_equal(found.params, every[best].params)
    assert_equal(found.last, every[-1].last)
    assert set(found.history) == {"loss", "validation_loss", "validation_mae"}


def test_early_stopping():
    model, held_out = mean_model(), train.Dataset(*ragged(9, seed=1))
    options = dict(validation=held_out, optimizer=optax.adam(0.4), epochs=40, metrics=["r2"])
    free = fit(model, DATA, **options).history["validation_loss"]
    found = fit(model, DATA, **options, early_stopping=2)
    losses = found.history["validation_loss"]
    assert losses == free[: len(losses)]
    assert found.epochs == len(losses) == found.best_epoch + 2 < 40
    assert all(losses[found.best_epoch - 1] < other for other in losses[-2:])
    by_metric = fit(model, DATA, **options, early_stopping=train.EarlyStopping(3, metric="r2"))
    scores = by_metric.history["validation_r2"]
    assert by_metric.epochs == by_metric.best_epoch + 3
    assert int(np.argmax(scores)) + 1 == by_metric.best_epoch
    strict = fit(model, DATA, **options, early_stopping=train.EarlyStopping(1, min_delta=1e9))
    assert (strict.best_epoch, strict.epochs) == (1, 2)


def test_a_loss_that_is_not_finite_is_named():
    targets = TARGETS.copy()
    targets[7] = 3e30  # its square is infinite
    with pytest.raises(
        train.NonFiniteLoss, match=r"loss is inf at epoch 1, batch . of 3.*rows"
    ) as e:
        fit(mean_model(), train.Dataset(ROWS, targets))
    rows = str(e.value).split("(rows ")[1].split(")")[0]
    assert "7" in rows.split(", ") and len(rows.split(", ")) == 4
    with pytest.raises(train.NonFiniteLoss, match=r"inf at epoch 2, batch 1 of 3"):
        fit(mean_model(), DATA, optimizer=optax.sgd(lambda step: jnp.where(step == 2, 1e25, 0.0)))


def test_params_that_are_not_finite_are_named():
    def loss(outputs, targets):
        return jnp.sqrt(jnp.abs(outputs[:, 0] * 0))

    with pytest.raises(train.NonFiniteLoss, match="params are not finite after epoch 1"):
        fit(mean_model(), DATA, loss=loss, batch_size=12, epochs=1)


def test_missing_targets_are_left_out():
    targets = TARGETS.copy()
    targets[[2, 5]] = np.nan
    with pytest.raises(ValueError, match="targets: expected finite numbers, got nan in row 2; mi"):
        train.Dataset(ROWS, targets)
    rows = [row for i, row in enumerate(ROWS) if i not in (2, 5)]
    masked = train.Dataset(ROWS, targets, missing="mask")
    rest = train.Dataset(rows, np.delete(TARGETS, [2, 5]))
    model = mean_model()
    a, b = (fit(model, of, batch_size=len(of), epochs=3) for of in (masked, rest))
    assert_close(a.params, b.params)
    np.testing.assert_allclose(a.history["loss"], b.history["loss"], rtol=1e-5)
    metrics = dict(loss="mse", metrics=["mae", "r2", "rmse"])
    for found, expected in zip(
        train.evaluate(model, a.params, masked, **metrics).values(),
        train.evaluate(model, a.params, rest, **metrics).values(), strict=True,
    ):  # fmt: skip
        assert found == pytest.approx(expected, rel=1e-5)


def test_missing_classes_are_left_out():
    classes = np.array([0, 1, -1, 1, 0, -1, 1, 0, 1, 0, 1, 1], np.int8)
    seen = classes >= 0
    model = mean_model(outputs=2)
    options = dict(loss="cross_entropy", epochs=3)
    masked = train.Dataset(ROWS, classes)
    rest = train.Dataset([row for row, s in zip(ROWS, seen, strict=True) if s], classes[seen])
    a, b = (fit(model, of, batch_size=len(of), **options) for of in (masked, rest))
    assert_close(a.params, b.params)


@pytest.mark.slow
def test_some_targets_of_a_row_may_be_missing():
    rng = np.random.default_rng(0)
    targets = rng.normal(size=(12, 2)).astype(np.float32)
    targets[3, 0] = targets[8, 1] = targets[9] = np.nan
    model = mean_model(outputs=2)
    data = train.Dataset(ROWS, targets, missing="mask")
    found = fit(model, data, batch_size=12, epochs=1)
    outputs = np.stack([model.apply(model.init(jax.random.split(KEY, 3)[0]), row[:, None])[0]
                        for row in ROWS])  # fmt: skip
    assert found.history["loss"][0] == pytest.approx(np.nanmean((outputs - targets) ** 2), rel=1e-5)


def test_a_loss_that_is_undefined_in_the_padding_has_a_gradient():
    model = mean_model(every=True)
    params = {"w": jnp.ones((2, 1)), "b": jnp.full(1, -0.5)}  # outputs below 0 in the padding
    rows = [np.abs(row) + 1 for row in ROWS]
    data = train.Dataset(rows, [np.exp(row[:, 0]) for row in rows], per="step")
    found = fit(model, data, loss="qlike", params=params, optimizer=optax.sgd(1e-3))
    assert np.isfinite(found.history["loss"]).all()


@pytest.mark.slow
def test_optimizers_that_need_the_loss_or_draw_noise():
    plateau = optax.chain(optax.sgd(0.1), optax.contrib.reduce_on_plateau(patience=1, factor=0.5))
    noisy = optax.noisy_sgd(0.1, key=jax.random.key(3))
    for optimizer in (plateau, noisy, optax.lbfgs()):
        found = fit(mean_model(), DATA, optimizer=optimizer, epochs=3)
        assert np.isfinite(found.history["loss"]).all() and found.compiles == 1


def test_batch_order_is_a_function_of_the_key_and_the_epoch():
    buckets = make_buckets(DATA.lengths, 1, 4)

    def rows(words, epoch):
        return [tuple(map(int, item.rows)) for item in epoch_batches(buckets, 4, words, epoch)]

    assert rows((1, 2), 0) == [(4, 6, 5, 11), (3, 8, 7, 9), (10, 1, 2, 0)]  # in all processes
    assert rows((1, 2), 3) == rows((1, 2), 3)
    assert len({str(rows(words, n)) for words in ((1, 2), (2, 1)) for n in range(3)}) == 6


def test_epochs_and_keys_change_the_order_of_training_and_nothing_else_does():
    model = mean_model()
    a, b, c = (fit(model, DATA, key=jax.random.key(seed)) for seed in (0, 0, 1))
    assert_equal(a, b._replace(compiles=a.compiles))
    assert a.history != c.history


def test_classes_that_only_validation_has():
    classes = np.array([0, 1] * 6)
    held_out = train.Dataset(ROWS, np.array([0, 1, 2, 3, -1, 0] * 2))
    data = train.Dataset(ROWS, classes)
    model = mean_model(outputs=4)
    with pytest.warns(UserWarning, match=r"2 of its classes never occur in data.*: 2, 3"):
        fit(model, data, validation=held_out, loss="cross_entropy", epochs=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        numbers = train.Dataset(ROWS, np.array([0, 1, 2, 3, 4, 0] * 2))
        fit(mean_model(), data, validation=numbers, loss="mse", epochs=1)


@pytest.mark.slow
def test_a_learned_initial_state_learns_from_streams():
    model = language_model(cell=lj.learned_state(lj.gru(4)))
    data = train.Streams(text(60), window=7)
    start = model.init(jax.random.split(KEY, 3)[0])
    options = dict(loss="cross_entropy", batch_size=2)
    found = fit(model, data, epochs=1, **options)
    assert found.compiles == 1

    def names(params):
        return {jax.tree_util.keystr(path): leaf
                for path, leaf in jax.tree_util.tree_leaves_with_path(params)}  # fmt: skip

    before, after = names(start), names(found.params)
    assert set(before) == set(after)
    assert all((before[name] != after[name]).any() for name in before)


@pytest.mark.slow
def test_it_runs_under_strict_promotion():
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        model = train.network(lj.gru(3), train.inputs.numbers(2), train.heads.regression())
        found = fit(model, DATA, validation=DATA, metrics=["mae", "r2"], epochs=1)
        train.predict(model, found.params, ROWS)
        streams = train.Streams(text(20), window=5)
        fit(language_model(), streams, loss="cross_entropy", batch_size=2, epochs=1)


def test_progress():
    events = []
    fit(mean_model(), DATA, validation=DATA, progress=events.append)
    assert [event.epoch for event in events if event.batch == 0] == [1, 2]
    assert events[-1].batches == 3 and events[-1].epochs == 2
    assert set(events[-1].history) == {"loss", "validation_loss"}
    assert events[0].batch == 1 and events[0].loss > 0


def test_progress_is_shown_on_stderr(capsys, monkeypatch):
    fit(mean_model(), DATA, validation=DATA, progress=True)
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("epoch 2 of 2: loss ") and "validation_loss" in err
    assert err.count("\n") == 1  # at the end, and every ten seconds
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes it for a terminal
    fit(mean_model(), DATA, progress=True)
    out, err = capsys.readouterr()
    assert out == "" and "epoch 2 of 2" in err


@pytest.mark.parametrize(
    "wrong, message",
    [
        (dict(batch_size=13), "batch_size: expected at most 12, the rows of data, got 13"),
        (dict(batch_size=0), "batch_size"),
        (dict(epochs=0), "epochs"),
        (dict(optimizer="adam"), "optimizer"),
        (dict(loss="mean"), "loss"),
        (dict(metrics=["mae"]), "metrics: expected validation data"),
        (dict(early_stopping=3), "early_stopping: expected validation data"),
        (dict(validation=DATA, early_stopping="soon"), "early_stopping"),
        (dict(validation=DATA, early_stopping=0), "patience"),
        (
            dict(validation=DATA, early_stopping=train.EarlyStopping(metric="r2")),
            "early_stopping.metric",
        ),
        (
            dict(
                validation=DATA,
                metrics=[train.Metric("loss", False, of_all=lambda o, t: 0.0)],
            ),
            "metrics: expected another name than 'loss'",
        ),
        (dict(validation=DATA, metrics=["perplexity"]), "outputs: expected logits"),
        (dict(validation=ROWS), "validation"),
        (dict(validation=train.Dataset(ROWS)), "validation: expected targets"),
        (
            dict(validation=train.Dataset(ROWS, np.zeros(12, int))),
            "validation: expected targets to be static floats",
        ),
        (dict(loss=lambda outputs, targets: jnp.mean(outputs)), "loss: expected one value for"),
        (dict(key=3), "key"),
        (dict(params={"w": jnp.ones((3, 1)), "b": jnp.ones(1)}), "dot_general"),
    ],
)
def test_wrong_arguments(wrong, message):
    with pytest.raises((ValueError, TypeError), match=message):
        fit(mean_model(), DATA, **wrong)


def test_wrong_data():
    model = mean_model(outputs=2)
    for data, options, message in (
        (ROWS, {}, "data"),
        (train.Dataset(ROWS), {}, "data: expected targets"),
        (DATA.take([]), {}, "data: expected at least one row"),
        (train.Dataset(ROWS, np.arange(12) % 3), dict(loss="cross_entropy"),
         "data: expected classes from 0 to 1, for which the model has outputs, got 2"),
        (DATA, dict(loss="cross_entropy"), "targets: expected classes, as integers"),
        (train.Dataset(ROWS, np.full((12, 2), np.nan), missing="mask"), {}, "at least one target"),
        (train.Streams(text(), window=3), {}, "model: expected one that reads every step"),
    ):  # fmt: skip
        with pytest.raises((ValueError, TypeError), match=message):
            fit(model, data, **options)
    whole = train.Dataset(ROWS, np.array([1, 2, -1] * 4))
    with pytest.raises(ValueError, match="data: expected integer targets to be classes"):
        fit(mean_model(), whole)


def test_integer_targets_of_a_number_loss_may_be_any_from_zero():
    found = fit(mean_model(), train.Dataset(ROWS, np.arange(12, dtype=np.uint8)), epochs=1)
    assert np.isfinite(found.history["loss"]).all()


@pytest.mark.slow
def test_a_few_lines_learn_handwritten_digits():
    digits = pytest.importorskip("sklearn.datasets").load_digits()
    data = train.Dataset(digits.images / 16, digits.target)  # 8 steps of 8 pixels
    training, test = train.hold_out(data, 0.25, key=KEY)
    training, validation = train.hold_out(training, 0.15, key=KEY)
    model = train.network(lj.lstm(64), train.inputs.numbers(8), train.heads.classification(10))
    fitted = train.fit(
        model, training, validation=validation, loss="cross_entropy", metrics=["accuracy"],
        optimizer=optax.adam(3e-3), epochs=30, batch_size=32, early_stopping=5, key=KEY,
    )  # fmt: skip
    scores = train.evaluate(model, fitted.params, test, metrics=["accuracy", "f1_macro", "auc"])
    assert scores["accuracy"] > 0.95 and scores["f1_macro"] > 0.95 and scores["auc"] > 0.99
    probabilities = train.predict(model, fitted.params, digits.images[:5] / 16)
    assert probabilities.shape == (5, 10)

import jax
import numpy as np
import optax
import pytest

import lstm_jax as lj
from lstm_jax import train
from tests.train.finite import KEY, assert_close, assert_equal, fit, language_model, text

TEXT = text(53)
MODEL = language_model()
PARAMS = MODEL.init(KEY)


def windows(data, streams):
    arranged = data.arrange(streams)
    return [arranged.read(number) for number in range(len(arranged))]


def test_windows_are_the_sequence_cut_into_pieces():
    found = windows(train.Streams(TEXT, window=4), 3)
    assert len(found) == 5  # of 18 steps each, the last piece 17
    xs, targets, counts = (np.concatenate([getattr(w, name) for w in found])
                           for name in ("xs", "targets", "counts"))  # fmt: skip
    assert xs.shape == targets.shape == counts.shape == (20, 3) and xs.dtype == np.int32
    following = np.append(TEXT[1:], -1)
    for stream, piece in enumerate((slice(0, 18), slice(18, 36), slice(36, 53))):
        n = piece.stop - piece.start
        assert xs[:n, stream].tolist() == TEXT[piece].tolist()
        assert counts[:, stream].tolist() == [following[piece][i] >= 0 if i < n else False
                                              for i in range(20)]  # fmt: skip
        assert targets[:n, stream].tolist() == np.maximum(following[piece], 0).tolist()
    assert [bool(w.first) for w in found] == [True, False, False, False, False]
    assert all(w.resets is None for w in found)


def test_more_streams_than_steps_fill():
    found = windows(train.Streams(np.arange(5), window=3), 4)
    assert len(found) == 1 and found[0].counts.sum() == 4
    assert found[0].xs.tolist() == [[0, 2, 4, 0], [1, 3, 0, 0], [0, 0, 0, 0]]


def test_several_documents_begin_with_a_reset():
    parts = [TEXT[:10], TEXT[10:13], TEXT[13:]]
    [window] = windows(train.Streams(parts, window=60), 1)
    assert np.flatnonzero(window.resets[:, 0]).tolist() == [10, 13]
    assert np.flatnonzero(~window.counts[:53, 0]).tolist() == [9, 12, 52]
    given = np.zeros(53, bool)
    given[20] = True
    [window] = windows(train.Streams(parts, window=60, resets=given), 1)
    assert np.flatnonzero(window.resets[:, 0]).tolist() == [10, 13, 20]
    assert (
        train.Streams(parts, window=60).targets.tolist()
        == np.concatenate([np.append(part[1:], -1) for part in parts]).tolist()
    )


def test_targets_of_ones_own():
    rng = np.random.default_rng(0)
    inputs, numbers = rng.normal(size=(10, 2)), rng.normal(size=10)
    [window] = windows(train.Streams(inputs, numbers, window=5), 2)
    np.testing.assert_array_equal(
        window.xs, inputs.astype(np.float32).reshape(2, 5, 2).swapaxes(0, 1)
    )
    np.testing.assert_array_equal(window.targets, numbers.astype(np.float32).reshape(2, 5).T)
    classes = np.array([0, -1, 2, 1, 0, -1, 2, 1, 0, 1])
    [window] = windows(train.Streams((inputs * 9).astype(np.uint8), classes, window=5), 2)
    assert window.xs.dtype == np.float32
    assert window.counts.T.ravel().tolist() == (classes >= 0).tolist()


@pytest.mark.parametrize(
    "streams, window",
    [(3, 4), *(pytest.param(*sizes, marks=pytest.mark.slow) for sizes in ((1, 7), (4, 100)))],
)
@pytest.mark.slow
def test_the_state_is_carried_from_window_to_window(streams, window):
    data = train.Streams(TEXT, window=window, streams=streams)
    steps = -(-53 // streams)
    answers, losses = [], []
    for first in range(0, 53, steps):
        piece, following = TEXT[first : first + steps], TEXT[first + 1 : first + steps + 1]
        logits = np.asarray(MODEL.apply(PARAMS, piece[:, None]))[:, 0]
        logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        answers.append(np.exp(logs))
        losses += [-logs[i, target] for i, target in enumerate(following)]
    assert len(losses) == 52
    found = train.evaluate(MODEL, PARAMS, data, loss="cross_entropy", metrics=["bits", "accuracy"])
    assert found["loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    assert found["bits"] == pytest.approx(found["loss"] / np.log(2), rel=1e-5)
    answers = np.concatenate(answers)
    right = answers[:-1].argmax(-1) == TEXT[1:]
    assert found["accuracy"] == pytest.approx(right.mean(), abs=1e-6)
    np.testing.assert_allclose(train.predict(MODEL, PARAMS, data), answers, atol=1e-6)


def test_documents_are_scored_one_by_one():
    parts = [TEXT[:10], TEXT[10:13], TEXT[13:]]
    whole = train.evaluate(
        MODEL, PARAMS, train.Streams(parts, window=8), loss="cross_entropy"
    )["loss"]  # fmt: skip
    single = [
        train.evaluate(MODEL, PARAMS, train.Streams(part, window=8), loss="cross_entropy")["loss"]
        for part in parts
    ]
    assert whole == pytest.approx(np.average(single, weights=[9, 2, 39]), rel=1e-5)
    joined = train.Streams(TEXT, window=8)
    assert whole != train.evaluate(MODEL, PARAMS, joined, loss="cross_entropy")["loss"]


@pytest.mark.slow
def test_training_is_truncated_backpropagation_with_the_state_carried():
    data, optimizer = train.Streams(TEXT, window=5), optax.adam(0.05)
    found = fit(MODEL, data, loss="cross_entropy", optimizer=optimizer, batch_size=3, params=PARAMS)
    params, state = PARAMS, optimizer.init(PARAMS)

    @jax.jit
    def gradient(params, carry, window):
        def loss(params):
            new, outputs = MODEL.stream(params, carry, window.xs)
            values = optax.softmax_cross_entropy_with_integer_labels(outputs, window.targets)
            return (values * window.counts).sum() / window.counts.sum(), new

        return jax.value_and_grad(loss, has_aux=True)(params)

    for epoch in range(2):
        carry, total = MODEL.initial_state(params, 3), 0.0
        for window in windows(data, 3):
            (mean, carry), grads = gradient(params, carry, window)
            updates, state = optimizer.update(grads, state)
            params = optax.apply_updates(params, updates)
            total += float(mean) * window.counts.sum()
        assert found.history["loss"][epoch] == pytest.approx(total / 52, rel=1e-5)
    assert_close(found.params, params, rtol=1e-3, atol=1e-5)
    assert found.compiles == 1


@pytest.mark.slow
def test_one_window_as_long_as_the_text_is_plain_training():
    data = train.Streams(TEXT[:21], window=20)
    rows = train.Dataset(TEXT[:20].reshape(2, 10), TEXT[1:21].reshape(2, 10), per="step")
    options = dict(loss="cross_entropy", params=PARAMS, batch_size=2, optimizer=optax.sgd(0.1))
    streams = train.Streams(TEXT[:20], TEXT[1:21], window=10)
    assert_close(fit(MODEL, streams, **options).params, fit(MODEL, rows, **options).params)
    assert len(windows(data, 1)) == 2


@pytest.mark.slow
def test_memory_maps_give_the_same_bits(tmp_path):
    np.save(tmp_path / "text.npy", TEXT.astype(np.uint16))
    on_disk = np.load(tmp_path / "text.npy", mmap_mode="r")
    found = []
    for values in (TEXT, on_disk):
        data = train.Streams(values, window=5)
        fitted = fit(MODEL, data, loss="cross_entropy", batch_size=3)
        scores = train.evaluate(MODEL, fitted.params, data, metrics=["perplexity"])
        found.append((fitted.params, scores, train.predict(MODEL, fitted.params, data)))
    assert data.far
    assert_equal(*found)


@pytest.mark.slow
def test_noise_differs_from_window_to_window():
    model = train.network(
        lj.gru(4), train.inputs.embedding(5, 3), train.heads.classification(5), reads="every",
        dropout=0.5,
    )  # fmt: skip
    options = dict(loss="cross_entropy", batch_size=1, epochs=1, optimizer=optax.sgd(0.0))
    same = train.Streams([np.array([1, 2, 3])] * 6, window=3)
    noisy = fit(model, same, **options).history["loss"]
    one = fit(model, same, **options, key=jax.random.key(1)).history["loss"]
    assert noisy != one


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(inputs=[]), r"inputs: expected integers .* got float64 of shape \(0,\)"),
        (dict(inputs=np.zeros(5)), r"inputs: expected integers \[N\] or floats \[N, D\]"),
        (dict(inputs=np.zeros((5, 2))), "targets: expected targets beside inputs of floats"),
        (dict(inputs=[TEXT, TEXT[:0]]), "at least one step, got none in sequence 1"),
        (dict(inputs=[TEXT, np.zeros((3, 2))]), "float64 of shape .* in sequence 1"),
        (dict(inputs="some text"), "inputs: expected numbers, got the text 'some text'"),
        (dict(targets=TEXT[1:]), r"targets: expected one for each step, \[53\], got \[52\]"),
        (dict(inputs=np.full((5, 1), np.nan), targets=TEXT[:5]), "got nan in step 0, column 0"),
        (dict(targets=np.full(53, -3)), "targets: expected classes from 0, .* got -3 in step 0"),
        (dict(targets=np.append(np.zeros(52), np.inf)), "targets: .* got inf in step 52"),
        (dict(resets=np.zeros(4, bool)), "resets: expected booleans of shape"),
        (dict(resets=np.zeros(53)), "resets: expected booleans"),
        (dict(window=0), "window"),
        (dict(streams=0), "streams"),
    ],
)
def test_wrong_streams(arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        train.Streams(**{"inputs": TEXT, "window": 4, **arguments})


def test_wrong_uses():
    data = train.Streams(TEXT, window=4, streams=3)
    with pytest.raises(ValueError, match="batch_size: expected 3, the streams of data, got 4"):
        fit(MODEL, data, loss="cross_entropy")
    with pytest.raises(ValueError, match="streams: expected at most the 53 steps, got 54"):
        train.evaluate(MODEL, PARAMS, train.Streams(TEXT, window=4, streams=54), loss="mse")
    last = train.network(lj.gru(4), train.inputs.embedding(5, 3), train.heads.classification(5))
    for use in (
        lambda: fit(last, data, loss="cross_entropy"),
        lambda: train.evaluate(last, PARAMS, data, loss="cross_entropy"),
        lambda: train.predict(last, PARAMS, data),
    ):
        with pytest.raises(ValueError, match="reads='every'"):
            use()
    rows = train.Dataset(TEXT[:50].reshape(5, 10), np.zeros(5, int))
    with pytest.raises(ValueError, match="validation: expected Streams with a target per step"):
        fit(MODEL, data, loss="cross_entropy", batch_size=3, validation=rows)

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, PartitionSpec

import lstm_jax as lj
from lstm_jax import decode, seq2seq
from tests.mistakes import require_argument_error
from tests.reference import numpy_seq2seq as ref
from tests.selection import mostly_slow

V, EXTRA, START, END, UNKNOWN = 7, 2, 1, 0, 2
SOURCE_LENGTHS, TARGET_LENGTHS = np.array([5, 2, 4]), np.array([4, 3, 1])


def model_of(output="vocabulary", encoder=None, decoder=None, **options):
    options = {"embedding_size": 4, "end": END} | options
    if output != "pointer":
        options = {"target_size": V, "start": START} | options
    if output == "copy":
        options = {"extra": EXTRA, "unknown": UNKNOWN} | options
    encoder = lj.gru(4) if encoder is None else encoder
    decoder = lj.lstm(3) if decoder is None else decoder
    return seq2seq.encoder_decoder(encoder, decoder, V, output=output, **options)


def params_of(model, dtype=jnp.float32, seed=0):
    """Params without zeros, including the biases."""
    leaves, structure = jax.tree.flatten(model.init(jax.random.key(seed), dtype))
    keys = jax.random.split(jax.random.key(seed + 1), len(leaves))
    noisy = [
        leaf + 0.5 * jax.random.normal(key, leaf.shape, dtype)
        for leaf, key in zip(leaves, keys, strict=True)
    ]
    return jax.tree.unflatten(structure, noisy)


def data_of(output="vocabulary", seed=0):
    """Source ``[5, 3]`` and targets ``[4, 3]``, with padding that is not a token."""
    rng = np.random.default_rng(seed)
    extra = EXTRA if output == "copy" else 0
    source, targets = (rng.integers(V + extra, size=(n, 3)) for n in (5, 4))
    if output == "pointer":
        targets = rng.integers(2, size=(4, 3))
    elif output == "copy":  # ids beyond the vocabulary come from the source alone
        source[1], targets = V + np.arange(3) % 2, rng.integers(V, size=(4, 3))
        targets[0] = source[1]
    return (
        np.where(np.arange(5)[:, None] < SOURCE_LENGTHS, source, 99),
        np.where(np.arange(4)[:, None] < TARGET_LENGTHS, targets, -5),
    )


LENGTHS = {"source_lengths": SOURCE_LENGTHS, "target_lengths": TARGET_LENGTHS}


@pytest.mark.parametrize(
    ("output", "options"),
    [
        ("vocabulary", {}),
        pytest.param(
            "vocabulary",
            {"decoder": lj.gru(3), "vector_size": 5, "shared_embedding": True},
            marks=pytest.mark.slow,
        ),
        pytest.param("copy", {}, marks=pytest.mark.slow),
        ("pointer", {}),
    ],
)
def test_log_probabilities_and_alignments_are_those_of_the_papers(x64, output, options):
    model = model_of(output, **options)
    params = params_of(model, jnp.float64)
    source, targets = data_of(output)
    start = None if output == "pointer" else START

    @jax.jit
    def run(params, source, targets):
        logs = model.log_probabilities(params, source, targets, **LENGTHS)
        step, state = model.stepper(params, source, source_lengths=SOURCE_LENGTHS)
        first = jnp.full((1, 3), -1 if start is None else start)

        def look(state, tokens):
            state, stepped, seen = step(state, tokens)
            return state, (stepped, seen)

        _, (stepped, seen) = jax.lax.scan(look, state, jnp.concatenate([first, targets[:-1]]))
        return logs, stepped, seen

    logs, stepped, seen = run(params, source, targets)
    as_numpy = jax.tree.map(np.asarray, params)
    for row, (places, steps) in enumerate(zip(SOURCE_LENGTHS, TARGET_LENGTHS, strict=True)):
        fed = [start, *targets[: steps - 1, row].tolist()]
        probabilities, weights = ref.run(
            as_numpy, source[:places, row].tolist(), fed, output=output,
            decoder="gru" if "decoder" in options else "lstm",
            shared="shared_embedding" in options, extra=EXTRA if output == "copy" else 0,
            unknown=UNKNOWN,
        )  # fmt: skip
        np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-12)
        for found in (logs, stepped):
            found = np.exp(found[:steps, row])
            if output == "pointer":
                assert not found[:, places:].any()
                found = found[:, :places]
            np.testing.assert_allclose(found, probabilities, rtol=1e-9, atol=1e-300)
        np.testing.assert_allclose(seen[:steps, row, :places], weights, rtol=1e-9)
        assert not seen[:, row, places:].any()


@pytest.mark.slow
@pytest.mark.parametrize("output", mostly_slow(["vocabulary", "pointer", "copy"], ["pointer"]))
def test_padding_is_inert(output):
    model = model_of(output)
    params = params_of(model)
    source, targets = data_of(output)
    wider = np.pad(source, ((0, 3), (0, 0)), constant_values=98)
    wider[(np.arange(8)[:, None] >= SOURCE_LENGTHS) & (wider == 99)] = -1
    longer = np.pad(targets, ((0, 2), (0, 0)), constant_values=77)

    @jax.jit
    def run(params, source, targets):
        def loss(params):
            return model.loss(params, source, targets, label_smoothing=0.1, **LENGTHS)

        options = {"max_steps": 4, "source_lengths": SOURCE_LENGTHS}
        greedy = model.decode(params, source, **options)
        beams = model.decode(
            params, source, method="beam", width=3, coverage_penalty=0.2, **options
        )
        return jax.value_and_grad(loss)(params), greedy, beams

    (loss, gradient), greedy, beams = run(params, source, targets)
    (same_loss, same_gradient), same_greedy, same_beams = run(params, wider, longer)
    assert np.isfinite(loss)
    np.testing.assert_allclose(same_loss, loss, rtol=1e-6)
    for one, two in zip(jax.tree.leaves(gradient), jax.tree.leaves(same_gradient), strict=True):
        assert np.isfinite(one).all()
        np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-6)
    for one, two in ((greedy, same_greedy), (beams, same_beams)):
        np.testing.assert_array_equal(two.tokens, one.tokens)
        np.testing.assert_allclose(two.scores, one.scores, rtol=1e-5)
        np.testing.assert_allclose(two.seen[..., :5], one.seen, atol=1e-6)
        assert not two.seen[..., 5:].any()


@pytest.mark.slow
def test_a_row_alone_is_the_row_in_its_batch():
    model = model_of("copy")
    params = params_of(model)
    source, _ = data_of("copy")
    together = model.decode(params, source, max_steps=5, source_lengths=SOURCE_LENGTHS)
    alone = model.decode(params, source[:2, 1:2], max_steps=5)
    np.testing.assert_array_equal(together.tokens[:, 1], alone.tokens[:, 0])
    np.testing.assert_allclose(together.scores[1], alone.scores[0], rtol=1e-5)


@pytest.mark.slow
def test_copying_produces_what_only_the_source_has_and_nothing_else():
    model = model_of("copy")
    params = params_of(model)
    params["gate"]["b"] = params["gate"]["b"] - 100.0  # copies alone
    source = np.array([[V, 4], [V, V + 1], [V, 4]])
    found = model.decode(params, source, max_steps=2)
    assert found.tokens[:, 0].tolist() == [V, V]
    assert set(found.tokens[:, 1].tolist()) <= {4, V + 1}
    logs = model.log_probabilities(params, source, found.tokens)
    assert (logs[:, 0, V + 1] == -np.inf).all()  # the second row's own token
    np.testing.assert_allclose(np.exp(logs).sum(axis=-1), 1.0, rtol=1e-5)
    params["gate"]["b"] = params["gate"]["b"] + 200.0  # copies nothing
    logs = model.log_probabilities(
        params | {"gate": jax.tree.map(jnp.zeros_like, params["gate"])}, source, found.tokens,
        source_lengths=np.array([3, 0]),
    )  # fmt: skip
    assert not np.exp(logs[:, 1, V:]).any()  # an empty source
    np.testing.assert_allclose(np.exp(logs).sum(axis=-1), 1.0, rtol=1e-5)
    logs = model.log_probabilities(params, source, found.tokens)
    np.testing.assert_allclose(np.exp(logs[..., :V]).sum(axis=-1), 1.0, rtol=1e-5)
    gradient = jax.grad(model.loss)(params, source, found.tokens)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


@pytest.mark.slow
def test_scheduled_sampling_lies_between_the_target_and_the_model():
    model = model_of(end=None)
    params = params_of(model)
    source, _ = data_of()
    targets = np.random.default_rng(3).integers(V, size=(12, 3))
    key = jax.random.key(0)

    @jax.jit
    def run(own, key):
        return model.log_probabilities(
            params, source, targets, source_lengths=SOURCE_LENGTHS, own=own, key=key
        )

    @jax.jit
    def sides(params):
        lengths = {"source_lengths": SOURCE_LENGTHS}
        forced = model.log_probabilities(params, source, targets, **lengths)
        return forced, model.decode(params, source, max_steps=12, **lengths)

    forced, greedy = sides(params)
    np.testing.assert_allclose(run(0.0, key), forced, rtol=1e-5, atol=1e-6)
    own = run(1.0, key)
    np.testing.assert_array_equal(jnp.argmax(own, axis=-1), greedy.tokens)
    np.testing.assert_allclose(own.max(axis=-1).sum(axis=0), greedy.scores, rtol=1e-5)
    half, same, other = run(0.5, key), run(0.5, key), run(0.5, jax.random.key(1))
    np.testing.assert_array_equal(half, same)
    assert not np.allclose(half, other)
    # What is read at a step is the target's token or the model's: so is what follows from it.
    np.testing.assert_allclose(half[0], forced[0], rtol=1e-5)
    near = [np.isclose(half[1], side[1], rtol=1e-4).all(axis=-1) for side in (forced, own)]
    assert (near[0] | near[1]).all()


@pytest.mark.slow
def test_decoders_score_as_teacher_forcing_does():
    model = model_of("copy")
    params = params_of(model)
    source, _ = data_of("copy")

    @jax.jit
    def all_of(params, source):
        decode = functools.partial(
            model.decode, params, source, max_steps=5, source_lengths=SOURCE_LENGTHS
        )
        drawn = decode(method="sample", key=jax.random.key(2))
        return decode(), drawn, decode(method="beam", width=4).best()

    greedy, drawn, best = all_of(params, source)
    loss_of = jax.jit(model.loss)
    assert (best.scores >= greedy.scores - 1e-5).all()
    for found in (greedy, drawn, best):
        loss = loss_of(
            params, source, found.tokens, source_lengths=SOURCE_LENGTHS,
            target_lengths=found.lengths,
        )  # fmt: skip
        np.testing.assert_allclose(loss, -found.scores.sum() / found.lengths.sum(), rtol=1e-5)
        np.testing.assert_allclose(
            found.seen.sum(axis=-1), np.arange(5)[:, None] < found.lengths, atol=1e-5
        )


@pytest.mark.parametrize("summary", mostly_slow([False, True], [True]))
def test_without_attention_all_comes_from_the_last_state(summary):
    bridge = "dense" if summary else "last"
    model = model_of(
        encoder=lj.lstm(3), attention=None, bridge=bridge, feed_summary=summary
    )  # fmt: skip
    params = params_of(model)
    source, targets = data_of()

    @jax.jit
    def by_hand(params):
        embedded = params["source_embedding"][jnp.clip(source, 0, V - 1)]
        state, _ = lj.unroll(lj.lstm(3), params["encoder"], embedded, lengths=SOURCE_LENGTHS)
        fed = jnp.concatenate([jnp.full((1, 3), START), targets[:-1]])
        xs = params["target_embedding"][jnp.clip(fed, 0, V - 1)]
        if summary:
            flat = jnp.concatenate([state.h, state.c], axis=-1)
            values = jnp.tanh(flat @ params["bridge"]["w"] + params["bridge"]["b"])
            state = type(state)(*jnp.split(values, 2, axis=-1))
            beside = jnp.broadcast_to(flat, (4, *flat.shape))
            xs = jnp.concatenate([xs, beside], axis=-1)
        _, ys = lj.unroll(lj.lstm(3), params["decoder"], xs, state)
        if summary:
            ys = jnp.concatenate([ys, beside], axis=-1)
        return jax.nn.log_softmax(ys @ params["readout"]["w"] + params["readout"]["b"])

    @jax.jit
    def by_the_model(params):
        found = model.log_probabilities(params, source, targets, **LENGTHS)
        decoded = model.decode(params, source, max_steps=2, source_lengths=SOURCE_LENGTHS)
        return found, decoded.seen

    expected, (found, seen) = by_hand(params), by_the_model(params)
    for row, steps in enumerate(TARGET_LENGTHS):
        np.testing.assert_allclose(found[:steps, row], expected[:steps, row], atol=1e-5)
    assert seen == ()


DEEP = {
    "encoder": lj.chain(lj.bidirectional(lj.gru(2), lj.lstm(3)), lj.lstm(4)),
    "decoder": lj.chain(lj.lstm(3), lj.residual(lj.gru(3))),
}
DESIGNS = {
    "deep": DEEP | {"attention": "general"},
    "heads": {"attention": lj.attend.multi_head(6, 2), "vector_size": 5},
    "bahdanau": {"style": "bahdanau", "encoder": lj.bidirectional(lj.gru(2), lj.gru(3))},
    "location": {"attention": "location", "input_feeding": False, "bridge": "none"},
    "coverage, copying": {"attention": "coverage", "output": "copy"},
    "noisy": {"decoder": lj.zoneout(lj.lstm(3), 0.2), "dropout": 0.3},
    "pointer": {"output": "pointer", "attention": "additive"},
}


# The gradients of the first two are derivatives in tests/attend/test_attend.py too.
LONG = ("heads", "location", "deep", "bahdanau", "noisy", "pointer")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if n in LONG else ()) for n in DESIGNS]
)
def test_every_part_is_trained(name):
    """All params get a finite, nonzero gradient; the model can be decoded."""
    options = DESIGNS[name]
    model = model_of(**options)
    params = params_of(model)
    source, targets = data_of(options.get("output", "vocabulary"))
    key = jax.random.key(0) if name == "noisy" else None

    @jax.jit
    def run(params):
        loss = functools.partial(model.loss, source=source, targets=targets, key=key, **LENGTHS)
        found = model.decode(
            params, source, method="beam", width=2, max_steps=3, coverage_penalty=0.1,
            source_lengths=SOURCE_LENGTHS,
        )  # fmt: skip
        return jax.value_and_grad(loss)(params), found

    (loss, gradient), found = run(params)
    assert np.isfinite(loss) and np.isfinite(found.scores).all()
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        assert np.isfinite(leaf).all() and np.any(leaf), jax.tree_util.keystr(path)


@pytest.mark.slow
def test_noise_comes_from_the_key_alone():
    model = model_of(dropout=0.5)
    params = params_of(model)
    source, targets = data_of()
    one, same, other = (
        model.loss(params, source, targets, key=jax.random.key(s), **LENGTHS) for s in (0, 0, 1)
    )
    assert one == same != other
    quiet = model.loss(params, source, targets, **LENGTHS)
    without = model_of().loss(params, source, targets, **LENGTHS)
    assert quiet == without


@pytest.mark.slow
def test_it_learns_to_reverse():
    rng = np.random.default_rng(0)
    source = rng.integers(2, 8, size=(5, 16))
    targets = np.concatenate([source[::-1], np.full((1, 16), END)])
    model = seq2seq.encoder_decoder(
        lj.bidirectional(lj.gru(12), lj.gru(12)), lj.gru(16), 8, 8,
        embedding_size=8, start=START, end=END,
    )  # fmt: skip
    params = model.init(jax.random.key(0))
    optimizer = optax.adam(0.02)

    def step(carry, _):
        params, opt_state = carry
        loss, gradient = jax.value_and_grad(model.loss)(params, source, targets)
        updates, opt_state = optimizer.update(gradient, opt_state)
        return (optax.apply_updates(params, updates), opt_state), loss

    @jax.jit
    def train(params):
        start = (params, optimizer.init(params))
        (params, _), losses = jax.lax.scan(step, start, length=200)
        return losses, model.decode(params, source, max_steps=8)

    losses, found = train(params)
    assert losses[-1] < 0.05 < 1.5 < losses[0]
    np.testing.assert_array_equal(found.tokens[:6], targets)
    assert found.ended.all() and (found.lengths == 6).all()


def test_cross_entropy_is_that_of_the_tokens_that_count(x64):
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(4), size=(3, 2))
    probabilities[0, 0, 3] = 0.0
    probabilities /= probabilities.sum(axis=-1, keepdims=True)
    with np.errstate(divide="ignore"):
        logs = np.log(probabilities)
    targets, lengths = rng.integers(3, size=(3, 2)), np.array([3, 1])
    for smoothing in (0.0, 0.2):
        losses = []
        for t, row in ((0, 0), (1, 0), (2, 0), (0, 1)):
            possible = np.flatnonzero(probabilities[t, row])
            wanted = np.zeros(4)
            wanted[possible] = smoothing / len(possible)
            wanted[targets[t, row]] += 1 - smoothing
            losses.append(-sum(wanted[v] * logs[t, row, v] for v in possible))
        found = seq2seq.cross_entropy(
            jnp.asarray(logs), targets, lengths=lengths, label_smoothing=smoothing
        )
        np.testing.assert_allclose(found, np.mean(losses), rtol=1e-12)
    assert seq2seq.cross_entropy(jnp.asarray(logs), targets, lengths=np.array([0, 0])) == 0.0


def test_ids_outside_the_vocabulary_are_not_others():
    """In JAX the index -1 is the last of an axis; here the nearest row is read, and it is not a
    target."""
    model = model_of()
    params, (source, targets) = params_of(model), data_of()
    outside, nearest = (jnp.where(source == 0, x, source) for x in (-1, 0))
    logs = jax.jit(lambda source: model.log_probabilities(params, source, jnp.abs(targets)))
    np.testing.assert_array_equal(logs(outside), logs(nearest))
    losses = [seq2seq.cross_entropy(SOME, jnp.full((4, 3), bad)) for bad in (-1, V)]
    assert losses == [np.inf, np.inf]
    step, state = model.stepper(params, source)
    scores = decode.score(step, state, jnp.array([[-1, V, 1]]), start=START)
    np.testing.assert_array_equal(jnp.isfinite(scores), [[False, False, True]])


def test_no_rows_are_no_rows():
    model = model_of("copy")
    found = model.decode(params_of(model), jnp.ones((5, 0), int), max_steps=2)
    assert found.tokens.shape == (2, 0)


def test_schedules_are_those_of_the_paper():
    steps = np.array([0, 10, 100, 10_000])
    linear = seq2seq.linear_decay(0.002, floor=0.3)(steps)
    np.testing.assert_allclose(1 - linear, np.maximum(0.3, 1 - 0.002 * steps), rtol=1e-5)
    exponential = seq2seq.exponential_decay(0.99)(steps)
    np.testing.assert_allclose(1 - exponential, 0.99**steps, rtol=1e-4, atol=1e-6)
    inverse = seq2seq.inverse_sigmoid_decay(20.0)(steps)
    np.testing.assert_allclose(1 - inverse, 20 / (20 + np.exp(steps / 20)), rtol=1e-4, atol=1e-6)


@functools.cache
def built():
    model = model_of()
    return model, model.init(jax.random.key(0)), jnp.ones((5, 3), int), jnp.ones((4, 3), int)


def call(name, *changed, **options):
    """A function of a good model, with some of its arguments changed."""
    model, *arguments = built()
    function = getattr(model, name)
    count = 2 if name in ("decode", "encode", "stepper") else 3
    return function(*changed, *arguments[len(changed) : count], **options)


def logs(source=None, targets=None, **options):
    model, params, good_source, good_targets = built()
    source = good_source if source is None else source
    targets = good_targets if targets is None else targets
    return model.log_probabilities(params, source, targets, **options)


SOME = jnp.zeros((4, 3, V))
BAD = {
    "encoder: the factory": ("encoder", lambda: model_of(encoder=lj.gru)),
    "encoder: residual of another size": (
        "encoder",
        lambda: model_of(encoder=lj.residual(lj.gru(9))),
    ),
    "decoder: a layer": (
        "decoder",
        lambda: model_of(decoder=lj.bidirectional(lj.gru(2), lj.gru(2))),
    ),
    "decoder: with a memory": (
        "decoder",
        lambda: model_of(decoder=lj.attentive(lj.gru(3), jnp.zeros((2, 3)))),
    ),
    "target_size: none": ("target_size", lambda: model_of(target_size=None)),
    "target_size: of a pointer": ("target_size", lambda: model_of("pointer", target_size=3)),
    "target_size: two lists, one table": (
        "target_size",
        lambda: model_of(target_size=9, shared_embedding=True),
    ),
    "target_size: two lists, copying": ("target_size", lambda: model_of("copy", target_size=9)),
    "start: none": ("start", lambda: model_of(start=None)),
    "start: no token": ("start", lambda: model_of(start=V)),
    "start: of a pointer": ("start", lambda: model_of("pointer", start=1)),
    "end: no token": ("end", lambda: model_of(end=V)),
    "embedding_size: zero": ("embedding_size", lambda: model_of(embedding_size=0)),
    "attention: unknown": ("attention", lambda: model_of(attention="adaptive")),
    "attention: none to copy by": ("attention", lambda: model_of("copy", attention=None)),
    "attention: several heads to point by": (
        "attention",
        lambda: model_of("pointer", attention=lj.attend.multi_head(4, 2)),
    ),
    "style: pointing before reading": ("style", lambda: model_of("pointer", style="bahdanau")),
    "vector_size: without attention": (
        "vector_size",
        lambda: model_of(attention=None, vector_size=3),
    ),
    "bridge: unknown": ("bridge", lambda: model_of(bridge="learned")),
    "bridge: of another shape": ("bridge", lambda: model_of(bridge="last")),
    "bridge: nothing at all": ("bridge", lambda: model_of(attention=None, bridge="none")),
    "output: unknown": ("output", lambda: model_of("softmax")),
    "extra: without copying": ("extra", lambda: model_of(extra=2)),
    "extra: negative": ("extra", lambda: model_of("copy", extra=-1)),
    "unknown: none": ("unknown", lambda: model_of("copy", unknown=None)),
    "dropout: one": ("dropout", lambda: model_of(dropout=1.0)),
    "feed_summary: a string": ("feed_summary", lambda: model_of(feed_summary="yes")),
    "source: floats": ("source", lambda: logs(jnp.ones((5, 3)))),
    "source: no batch": ("source", lambda: logs(jnp.ones(5, int))),
    "source: no places": ("source", lambda: logs(jnp.ones((0, 3), int))),
    "source_lengths: over S": (
        "source_lengths",
        lambda: logs(source_lengths=jnp.array([6, 1, 1])),
    ),
    "targets: another batch": ("targets", lambda: logs(targets=jnp.ones((4, 2), int))),
    "target_lengths: over T": (
        "target_lengths",
        lambda: logs(target_lengths=jnp.array([5, 1, 1])),
    ),
    "params: of a cell": (
        "params",
        lambda: call("loss", lj.gru(4).init(jax.random.key(0), 3)),
    ),
    "params: of another vocabulary": (
        "params",
        lambda: call("decode", model_of(target_size=5).init(jax.random.key(0)), max_steps=3),
    ),
    "start: of a decoder": ("start", lambda: call("decode", max_steps=3, start=2)),
    "own: one a row": ("own", lambda: logs(own=jnp.ones(3), key=jax.random.key(0))),
    "own: without a key": ("key", lambda: logs(own=0.5)),
    "own: percent": ("own", lambda: logs(own=50, key=jax.random.key(0))),
    "key: a seed": ("key", lambda: logs(key=3)),
    "method: unknown": ("method", lambda: call("decode", max_steps=3, method="best")),
    "key: none to sample by": ("key", lambda: call("decode", max_steps=3, method="sample")),
    "width: zero": ("width", lambda: call("decode", max_steps=3, method="beam", width=0)),
    "log_probabilities: integers": (
        "log_probabilities",
        lambda: seq2seq.cross_entropy(jnp.zeros((4, 3, V), int), jnp.zeros((4, 3), int)),
    ),
    "targets: floats": ("targets", lambda: seq2seq.cross_entropy(SOME, jnp.zeros((4, 3)))),
    "label_smoothing: one": (
        "label_smoothing",
        lambda: seq2seq.cross_entropy(SOME, jnp.zeros((4, 3), int), label_smoothing=1.0),
    ),
    "slope: infinite": ("slope", lambda: seq2seq.linear_decay(np.inf)),
    "floor: above one": ("floor", lambda: seq2seq.linear_decay(0.1, floor=2.0)),
    "base: one": ("base", lambda: seq2seq.exponential_decay(1.0)),
    "k: below one": ("k", lambda: seq2seq.inverse_sigmoid_decay(0.5)),
}  # fmt: skip


@pytest.mark.parametrize("mistake", BAD)
def test_a_mistake_is_named(mistake, without_shape_annotations):
    argument, bad = BAD[mistake]
    require_argument_error(bad, argument)


@pytest.mark.slow
def test_rows_spread_over_devices_in_shard_map():
    """Each device computes for its rows what one device computes for all: decoders, scores, and the
    gradient through the model's own predictions."""
    model = model_of("copy")
    params, key = params_of(model), jax.random.key(3)
    data = [np.append(a, a[..., :1], -1) for a in (*data_of("copy"), *LENGTHS.values())]

    def run(params, source, targets, source_lengths, target_lengths):
        lengths = {"source_lengths": source_lengths}
        make = functools.partial(model.decode, params, source, max_steps=3, **lengths)
        start = jnp.full(source.shape[1:], START)
        stepper = model.stepper(params, source, **lengths)
        found = (
            make(),
            make(method="sample", key=key, top_k=1),
            make(method="beam", width=2, coverage_penalty=0.2).best(),
        )
        scores = decode.score(*stepper, targets, start=start, lengths=target_lengths)
        logs = model.log_probabilities(params, source, targets, own=1.0, key=key, **lengths)
        counts = jnp.arange(len(targets))[:, None] < target_lengths
        logs = jnp.where(counts[..., None] & jnp.isfinite(logs), logs, 0)
        return [(d.tokens, d.scores[None]) for d in found], scores, logs

    def total(*args):
        return jnp.sum(run(*args)[2])

    mesh = jax.make_mesh((2,), ("rows",), axis_types=(AxisType.Auto,))
    whole, rows, columns = PartitionSpec(), PartitionSpec("rows"), PartitionSpec(None, "rows")
    spread = functools.partial(
        jax.shard_map, mesh=mesh, in_specs=(whole, columns, columns, rows, rows)
    )
    for one, many in (
        (run, spread(run, out_specs=columns)),
        (jax.grad(total), spread(jax.grad(total), out_specs=whole)),
    ):
        found, expected = jax.jit(many)(params, *data), jax.jit(one)(params, *data)
        assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(expected))
        jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5),
                     found, expected)  # fmt: skip


def test_the_models_of_lj_decode_are_the_same():
    model = model_of()
    params = params_of(model)
    source, _ = data_of()
    step, state = model.stepper(params, source, source_lengths=SOURCE_LENGTHS)
    one = decode.greedy(step, state, start=START, end=END, max_steps=4)
    two = model.decode(params, source, max_steps=4, source_lengths=SOURCE_LENGTHS)
    np.testing.assert_array_equal(one.tokens, two.tokens)


def test_decoding_outside_jit_compiles_once_for_its_options(without_shape_annotations):
    inner, traces = lj.lstm(3), []

    def advance(params, state, x):
        traces.append(1)
        return inner.advance(params, state, x)

    model = model_of(decoder=inner._replace(advance=advance))
    params = params_of(model)
    source, _ = data_of()

    def traced_anew(max_steps):
        before = len(traces)
        found = model.decode(params, source, max_steps=max_steps, source_lengths=SOURCE_LENGTHS)
        assert found.tokens.shape == (max_steps, 3)
        return len(traces) > before

    assert [traced_anew(2), traced_anew(2), traced_anew(3), traced_anew(2)] == [1, 0, 1, 0]
    with pytest.raises(TypeError, match=r"^pad: .*got \[0\]"):
        model.decode(params, source, max_steps=2, pad=[0])


@pytest.mark.parametrize("dtype", mostly_slow([jnp.float16, jnp.bfloat16], [jnp.float16]))
def test_losses_of_narrow_numbers_are_summed_in_float32(dtype):
    """Their sum is far above the largest float16; gradients equal those in float32."""
    keys = jax.random.split(jax.random.key(0))
    logs = jax.nn.log_softmax(jax.random.normal(keys[0], (200, 64, 500))).astype(dtype)
    targets = jax.random.randint(keys[1], (200, 64), 0, 500)
    lengths = jnp.arange(64) * 3
    for smoothing in (0.0, 0.1):

        def loss(logs, smoothing=smoothing):
            return seq2seq.cross_entropy(logs, targets, lengths=lengths, label_smoothing=smoothing)

        found, gradient = jax.value_and_grad(loss)(logs)
        expected, wide = jax.value_and_grad(loss)(logs.astype(jnp.float32))
        assert (found.dtype, gradient.dtype) == (jnp.float32, dtype)
        np.testing.assert_allclose(found, expected, rtol=1e-6)
        np.testing.assert_array_equal(gradient, wide.astype(dtype))
    weights = jnp.full((3000, 2), 0.4, dtype)
    expected = 0.8 * (np.arange(3000) > 0)  # each of the two places has more behind it
    np.testing.assert_allclose(lj.attend.coverage_loss(weights), expected, rtol=0.01)
    assert lj.attend.coverage_loss(weights).dtype == jnp.float32


@pytest.mark.parametrize("output", ["copy", "pointer"])
def test_a_model_in_float16_gives_log_probabilities_in_float32(output):
    model = model_of(output, decoder=lj.mixed_precision(lj.gru(4), "float16"), encoder=lj.gru(4))
    params = model.init(jax.random.key(0))
    source = jnp.arange(12).reshape(6, 2) % 3
    logs = model.log_probabilities(params, source, source)
    assert logs.dtype == jnp.float32
    np.testing.assert_allclose(jnp.exp(logs).sum(axis=-1), 1.0, atol=2e-3)


def test_traced_lengths_beyond_the_ends_are_those_at_the_ends():
    model = model_of("copy")
    params = model.init(jax.random.key(0))
    source, target = jnp.ones((5, 3), jnp.int32), jnp.ones((4, 3), jnp.int32)

    @jax.jit
    def loss(sources, targets):
        lengths = {"source_lengths": sources, "target_lengths": targets}
        greedy = model.decode(params, source, max_steps=3, source_lengths=sources).scores
        return model.loss(params, source, target, **lengths), greedy

    beyond = loss(jnp.array([9, 2, -1]), jnp.array([100, -7, 3]))
    inside = loss(jnp.array([5, 2, 0]), jnp.array([4, 0, 3]))
    assert np.all(np.isfinite(inside[0]))
    jax.tree.map(np.testing.assert_array_equal, beyond, inside)


def test_a_bridge_fills_what_can_be_learned_of_a_state():
    """An sLSTM's normaliser stays empty; a window alone would carry nothing of the source."""
    model = model_of(attention=None, encoder=lj.gru(4), decoder=lj.slstm(4))
    params = model.init(jax.random.key(0))
    source = jnp.arange(10).reshape(5, 2) % 3
    state = model.encode(params, source).state
    assert np.all(state.h != 0)
    assert not any(np.any(leaf) for leaf in (state.c, state.n, state.m))
    with pytest.raises(ValueError, match=r"^bridge: "):
        model_of(attention=None, encoder=lj.gru(4), decoder=lj.attention(4))
    attending = model_of(encoder=lj.gru(4), decoder=lj.attention(4))
    params = attending.init(jax.random.key(0))
    assert "bridge" not in params
    assert np.all(np.isfinite(attending.log_probabilities(params, source, source)))

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax import decode
from tests.mistakes import require_argument_error
from tests.reference import numpy_decode as ref
from tests.selection import mostly_slow

END, START = 0, 1


def toy(vocabulary=3, hidden=4, places=3, batch=4, seed=0, scale=1.5):
    """A small model as NumPy float64 params, and states ``[B, H]``."""
    rng = np.random.default_rng(seed)
    params = {
        "embed": scale * rng.normal(size=(vocabulary, hidden)),
        "u": scale * rng.normal(size=(hidden, hidden)),
        "w": scale * rng.normal(size=(hidden, vocabulary)),
        "a": scale * rng.normal(size=(hidden, places)),
    }
    return params, rng.normal(size=(batch, hidden))


def step_of(params):
    """The model of ``numpy_decode`` as a step."""
    p = {name: jnp.asarray(leaf) for name, leaf in params.items()}

    def step(state, tokens):
        h = jnp.tanh(p["embed"][tokens] + state["h"] @ p["u"])
        return {"h": h}, h @ p["w"], jax.nn.softmax(h @ p["a"])

    return step


def compiled(decoder, params, **options):
    """A decoder over the toy model, compiled: a function of the states and further arguments."""
    options = {"start": START} | ({} if decoder is decode.score else {"end": END}) | options

    @jax.jit
    def call(h, *args, **given):
        return decoder(step_of(params), {"h": h}, *args, **options | given)

    return lambda h, *args, **given: call(jnp.asarray(h), *args, **given)


def run(decoder, params, h, *args, **options):
    return compiled(decoder, params, **options)(h, *args)


def assert_is(found, expected, pad=END):
    """Checks one row of the library's results, ``found``: (tokens, length, logp, ended, seen)."""
    tokens, length, logp, ended, seen = (np.asarray(part) for part in found)
    assert tokens.tolist() == expected[0] + [pad] * (len(tokens) - len(expected[0]))
    assert (length, ended) == (len(expected[0]), expected[2])
    np.testing.assert_allclose(logp, expected[1], rtol=1e-10)
    np.testing.assert_allclose(seen[:length], expected[3], rtol=1e-9)
    assert not seen[length:].any()


def assert_beams(found, row, expected, alpha=0.0, beta=0.0, places=(1, 1, 1)):
    scores = [ref.penalised(hypothesis, alpha, beta, places) for hypothesis in expected]
    np.testing.assert_allclose(found.scores[row][: len(expected)], scores, rtol=1e-10)
    for k, hypothesis in enumerate(expected):
        assert_is(
            (found.tokens[:, row, k], found.lengths[row, k], found.log_probabilities[row, k],
             found.ended[row, k], found.seen[:, row, k]), hypothesis,
        )  # fmt: skip


def test_greedy_takes_the_most_probable_token(x64):
    params, h = toy(vocabulary=9, batch=8, seed=4)
    found = run(decode.greedy, params, h, max_steps=6, pad=7)
    expected = [ref.greedy(params, row, START, END, 6) for row in h]
    assert {True, False} == {hypothesis[2] for hypothesis in expected}  # some end, some do not
    for row, hypothesis in enumerate(expected):
        assert_is([leaf[..., row] for leaf in found[:4]] + [found.seen[:, row]], hypothesis, 7)


@pytest.mark.parametrize(("alpha", "beta"), [(0.0, 0.0), (0.9, 0.0), (-0.7, 0.3), (0.6, 0.4)])
def test_a_full_beam_is_exhaustive_search(x64, alpha, beta):
    params, h = toy(batch=3, seed=1)
    places = np.array([[1, 1, 1], [1, 1, 1], [0, 1, 1]], bool).T
    found = run(
        decode.beam, params, h, max_steps=4, width=3**4, length_penalty=alpha,
        coverage_penalty=beta, memory_mask=places,
    )  # fmt: skip
    for row in range(3):
        everything = ref.every_sequence(params, h[row], START, END, 4)
        np.testing.assert_allclose(sum(np.exp(s[1]) for s in everything), 1.0)
        everything.sort(key=lambda s: -ref.penalised(s, alpha, beta, places[:, row]))
        assert_beams(found, row, everything, alpha, beta, places[:, row])
        assert (found.scores[row][len(everything) :] == -np.inf).all()
        assert not found.lengths[row][len(everything) :].any()


@pytest.mark.parametrize(("alpha", "beta"), [(0.0, 0.0), (1.6, 0.0), (-0.5, 0.5)])
def test_early_stopping_loses_nothing(x64, alpha, beta):
    params, h = toy(vocabulary=5, batch=12, seed=2, scale=1.0)
    found = run(
        decode.beam, params, h, max_steps=9, width=3, length_penalty=alpha, coverage_penalty=beta
    )
    for row in range(12):
        expected = ref.beam(params, h[row], START, END, 9, 3, alpha, beta, (1, 1, 1))
        assert_beams(found, row, expected, alpha, beta)


def test_a_beam_of_one_is_greedy(x64):
    params, h = toy(vocabulary=6, batch=30, seed=3)
    greedy = run(decode.greedy, params, h, max_steps=7)
    best = run(decode.beam, params, h, max_steps=7, width=1).best()
    for name in decode.Decoded._fields:
        np.testing.assert_allclose(getattr(best, name), getattr(greedy, name), rtol=1e-12)


def tree(*nodes):
    """A step whose state is a node of a tree, given as (probabilities of tokens, next nodes)."""
    logits = jnp.log(jnp.array([probabilities for probabilities, _ in nodes]))
    leads_to = jnp.array([children for _, children in nodes])

    def step(node, tokens):
        node = leads_to[node, tokens]
        return node, logits[node], node

    return step


def test_the_greedy_hypothesis_is_not_pruned():
    # After token 1 comes the end, but the two continuations of token 2, which look better at
    # first, lead to node 5, where nothing is likely.
    step = tree(
        ([0.25, 0.25, 0.25, 0.25], [1, 1, 1, 1]),
        ([1e-9, 0.5, 0.49, 0.01], [0, 2, 3, 5]),
        ([1e-9, 0.4, 0.3, 0.3], [0, 4, 4, 4]),
        ([1e-9, 0.01, 0.495, 0.495], [0, 5, 5, 5]),
        ([1.0, 1e-9, 1e-9, 1e-9], [0, 4, 4, 4]),
        ([1e-9, 0.33, 0.33, 0.33], [0, 5, 5, 5]),
    )
    options = {"start": 0, "end": 0, "max_steps": 8}
    greedy = decode.greedy(step, jnp.zeros(1, jnp.int32), **options)
    beams = decode.beam(step, jnp.zeros(1, jnp.int32), width=2, **options)
    for found in (greedy, beams.best()):
        assert found.tokens[:3, 0].tolist() == [1, 1, 0] and found.ended[0]
        assert found.seen[:3, 0].tolist() == [1, 2, 4]
        np.testing.assert_allclose(np.exp(found.scores), 0.2, rtol=1e-5)


def test_a_short_ending_is_waited_for_where_length_costs():
    # Two hypotheses have ended after two steps. The live one, "1 3", would not beat them if it
    # went on to the last step; but it ends at the next, and is the best.
    step = tree(
        ([0.25, 0.25, 0.25, 0.25], [1, 1, 1, 1]),
        ([0.3, 0.6, 0.1, 1e-9], [0, 2, 3, 5]),
        ([0.06, 0.02, 0.02, 0.9], [0, 5, 5, 4]),
        ([0.9, 0.04, 0.03, 0.03], [0, 5, 5, 5]),
        ([1.0, 1e-9, 1e-9, 1e-9], [0, 4, 4, 4]),
        ([1e-9, 0.33, 0.33, 0.33], [0, 5, 5, 5]),
    )
    beams = decode.beam(
        step, jnp.zeros(1, jnp.int32), start=0, end=0, max_steps=40, width=2, length_penalty=-1.0
    )
    assert beams.tokens[:3, 0].T.tolist() == [[1, 3, 0], [0, 0, 0]]
    assert beams.lengths[0].tolist() == [3, 1]
    expected = [np.log(0.54) * 8 / 6, np.log(0.3)]
    np.testing.assert_allclose(beams.scores[0], expected, rtol=1e-5)


def test_a_beam_never_scores_below_greedy():
    params, h = toy(vocabulary=20, batch=200, seed=5, scale=0.7)
    greedy = run(decode.greedy, params, h, max_steps=12)
    better = 0
    for width in (2, 3):
        best = run(decode.beam, params, h, max_steps=12, width=width).best()
        assert (best.scores >= greedy.scores - 1e-5).all()
        better += int((best.scores > greedy.scores + 0.01).sum())
    assert better > 20


def test_rows_do_not_depend_on_their_neighbours():
    params, h = toy(vocabulary=5, batch=6, seed=6)
    key = jax.random.key(3)
    greedy = compiled(decode.greedy, params, max_steps=7)
    beam = compiled(decode.beam, params, max_steps=7, width=3, length_penalty=0.6)
    sample = compiled(decode.sample, params, max_steps=7)
    others = h.copy()
    others[[0, 2, 5]] = -h[[1, 3, 4]]
    together, apart = (
        {"greedy": greedy(rows), "beam": beam(rows), "sample": sample(rows, key)}
        for rows in (h, others)
    )
    few = sample(h[:2], key)
    np.testing.assert_array_equal(few.tokens, together["sample"].tokens[:, :2])
    for name in together:
        for field in together[name]._fields:
            one, two = (np.asarray(getattr(side[name], field)) for side in (together, apart))
            axis = 0 if field in ("lengths", "scores", "ended", "log_probabilities") else 1
            kept = [1, 3, 4]
            np.testing.assert_allclose(
                np.take(one, kept, axis), np.take(two, kept, axis), rtol=1e-5, atol=1e-6
            )
        assert not np.array_equal(together[name].tokens, apart[name].tokens)


def test_the_loop_stops_when_all_rows_have_ended():
    calls = []

    def step(state, tokens):  # row b ends after b + 1 tokens
        jax.debug.callback(lambda: calls.append(1))
        state = state + 1
        rows = jnp.arange(3)
        return state, jnp.where(state > rows, 1.0, -1.0)[:, None] * jnp.array([5.0, -5.0]), ()

    options = {"start": 1, "end": 0, "max_steps": 50}
    found = decode.greedy(step, jnp.zeros(3, jnp.int32), **options)
    jax.effects_barrier()
    assert found.lengths.tolist() == [1, 2, 3] and found.ended.all() and len(calls) == 3
    assert found.tokens.shape == (50, 3)


def test_impossible_tokens_are_never_chosen_and_nothing_is_nan():
    logits = jnp.array([[-jnp.inf, 1.0, -jnp.inf, 0.0], [-jnp.inf] * 4])

    def step(state, tokens):
        return state, logits, ()

    @jax.jit
    def all_of(state):
        options = {"start": 1, "end": 0, "max_steps": 3}
        return (
            decode.greedy(step, state, **options),
            decode.sample(step, state, jax.random.key(0), top_p=0.99, **options),
            decode.beam(step, state, width=9, length_penalty=0.5, **options),
        )

    greedy, drawn, beams = all_of(jnp.zeros(2))
    assert greedy.tokens[:, 0].tolist() == [1, 1, 1] and not greedy.ended[0]
    assert set(drawn.tokens[:, 0].tolist()) <= {1, 3}
    assert greedy.scores[1] == drawn.scores[1] == -jnp.inf  # nothing is possible
    assert np.isfinite(beams.scores[0, :8]).all() and beams.scores[0, 8] == -np.inf
    assert set(np.unique(beams.tokens[:, 0, :8])) == {1, 3}
    assert (beams.scores[1] == -np.inf).all() and not beams.lengths[1].any()
    for leaf in jax.tree.leaves((greedy, drawn, beams)):
        assert not np.isnan(leaf).any()
    # The sum over all sequences of two tokens for three steps is one.
    np.testing.assert_allclose(np.exp(beams.log_probabilities[0, :8]).sum(), 1.0, rtol=1e-5)


def test_sequences_that_do_not_end_have_max_steps_tokens():
    params, h = toy(vocabulary=3, batch=2)
    found = run(decode.greedy, params, h, max_steps=4, end=None)
    beams = run(decode.beam, params, h, max_steps=4, end=None, width=3**4)
    assert found.lengths.tolist() == [4, 4] and not found.ended.any()
    np.testing.assert_allclose(np.exp(beams.log_probabilities).sum(axis=1), 1.0, rtol=1e-5)
    assert len({tuple(tokens) for tokens in beams.tokens[:, 0].T.tolist()}) == 3**4


def test_filters_keep_what_they_say(x64):
    logits = np.random.default_rng(0).normal(size=(2, 5, 7)) * 2
    logits[0, 0] = 1.0  # ties: the first are kept
    for k, p in itertools.product((1, 3, 7), (0.1, 0.5, 0.95, 1.0)):
        top, nucleus = decode.keep_top_k(logits, k), decode.keep_nucleus(logits, p)
        for row in np.ndindex(2, 5):
            order = np.argsort(-logits[row], kind="stable")
            probabilities = ref.softmax(logits[row])[order]
            count = int(np.argmax(np.cumsum(probabilities) >= p - 1e-12)) + 1
            for found, kept in ((top, order[:k]), (nucleus, order[:count])):
                expected = np.full(7, -np.inf)
                expected[kept] = logits[row][kept]
                np.testing.assert_array_equal(found[row], expected)


@pytest.mark.parametrize(
    "options", [{}, {"temperature": 0.5}, {"top_k": 2}, {"temperature": 2.0, "top_p": 0.7}]
)
def test_samples_have_the_probabilities_of_the_model(options):
    rows = 20_000
    logits = np.array([0.2, 1.0, -0.5, 0.7])

    def step(state, tokens):
        return state, jnp.broadcast_to(jnp.asarray(logits, jnp.float32), (rows, 4)), ()

    found = decode.sample(
        step, jnp.zeros(rows), jax.random.key(1), start=1, end=None, max_steps=2, **options
    )
    cooled = logits / options.get("temperature", 1.0)
    probabilities = ref.softmax(cooled)
    order = np.argsort(-probabilities)
    if "top_k" in options:
        probabilities[order[options["top_k"] :]] = 0
    if "top_p" in options:
        before = np.cumsum(probabilities[order]) - probabilities[order]
        probabilities[order[before >= options["top_p"]]] = 0
    probabilities /= probabilities.sum()
    pairs = np.bincount(4 * found.tokens[0] + found.tokens[1], minlength=16) / rows
    expected = np.outer(probabilities, probabilities).reshape(-1)  # steps are independent too
    assert (pairs[expected == 0] == 0).all()
    np.testing.assert_allclose(pairs, expected, atol=5 * np.sqrt(0.25 / rows))
    of_model = ref.log_softmax(logits)[np.asarray(found.tokens)].sum(axis=0)
    np.testing.assert_allclose(found.scores, of_model, rtol=1e-5)


def test_score_is_what_the_decoders_say(x64):
    params, h = toy(vocabulary=5, batch=8, seed=7)
    beams = run(decode.beam, params, h, max_steps=6, width=2)
    score = compiled(decode.score, params)
    for k in range(2):
        tokens, lengths = beams.tokens[:, :, k], beams.lengths[:, k]
        gains = score(h, tokens, lengths=lengths)
        np.testing.assert_allclose(gains.sum(axis=0), beams.log_probabilities[:, k], rtol=1e-10)
        for row in range(8):
            state, last = h[row], START
            for t, token in enumerate(np.asarray(tokens[:, row])):
                state, logits, _ = ref.step(params, state, last)
                expected = ref.log_softmax(logits)[token] if t < lengths[row] else 0.0
                np.testing.assert_allclose(gains[t, row], expected, rtol=1e-10)
                last = token


def test_padding_of_scored_tokens_is_inert():
    params, h = toy(vocabulary=5, batch=3)
    step, state = step_of(params), {"h": jnp.asarray(h)}
    tokens = np.random.default_rng(0).integers(5, size=(6, 3))
    lengths = np.array([6, 3, 0])
    other = np.where(np.arange(6)[:, None] < lengths, tokens, 99)

    def total(h, tokens):
        gains = decode.score(step, {"h": h}, tokens, start=START, lengths=lengths)
        return gains.sum(), gains

    (_, one), gradient = jax.value_and_grad(total, has_aux=True)(state["h"], tokens)
    (_, two), same = jax.value_and_grad(total, has_aux=True)(state["h"], other)
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(gradient, same)
    assert np.isfinite(gradient).all() and gradient[:2].any(axis=1).all() and not gradient[2].any()


def test_one_start_token_a_row():
    params, h = toy(vocabulary=5, batch=2, seed=8)
    h[1] = h[0]
    starts = np.array([2, 4])
    beam = compiled(decode.beam, params, max_steps=5, width=2)
    found = beam(h, start=starts)
    for row, start in enumerate(starts):
        alone = beam(h, start=np.full(2, start))
        np.testing.assert_array_equal(found.tokens[:, row], alone.tokens[:, row])
        np.testing.assert_allclose(found.scores[row], alone.scores[row], rtol=1e-5)


def test_a_cell_is_decoded():
    cell = lj.chain(lj.lstm(3), lj.dropout(lj.gru(4), 0.5))
    params = cell.init(jax.random.key(0), 5)
    out = jax.random.normal(jax.random.key(1), (4, 5))

    def step(state, tokens):
        state, y = cell.step(params, state, jax.nn.one_hot(tokens, 5))
        return state, y @ out, ()

    state = cell.initial_state(params, (3,))
    found = decode.greedy(step, state, start=1, end=None, max_steps=4)
    fed = jnp.concatenate([jnp.ones((1, 3), jnp.int32), found.tokens[:-1]])
    _, ys = lj.unroll(cell, params, jax.nn.one_hot(fed, 5))
    np.testing.assert_array_equal(jnp.argmax(ys @ out, axis=-1), found.tokens)
    best = decode.beam(step, state, start=1, end=None, max_steps=4, width=5**4).best()
    assert (best.scores >= found.scores - 1e-6).all()


def fixed(state, tokens):
    return state, jnp.zeros((2, 4)), ()


GOOD = {"start": 1, "end": 0, "max_steps": 3}
KEY, TWO = jax.random.key(0), jnp.zeros(2)
BAD = {
    "step: not a function": ("step", lambda: decode.greedy(3, TWO, **GOOD)),
    "step: two results": ("step", lambda: decode.greedy(lambda s, t: (s, s), TWO, **GOOD)),
    "step: logits of integers": (
        "step",
        lambda: decode.greedy(lambda s, t: (s, jnp.zeros((2, 4), int), ()), TWO, **GOOD),
    ),
    "step: logits of one row": (
        "step",
        lambda: decode.greedy(lambda s, t: (s, jnp.zeros(4), ()), TWO, **GOOD),
    ),
    "step: another state": (
        "step",
        lambda: decode.greedy(lambda s, t: ((s, s), jnp.zeros((2, 4)), ()), TWO, **GOOD),
    ),
    "step: another dtype": (
        "step",
        lambda: decode.beam(
            lambda s, t: (s.astype(jnp.bfloat16), jnp.zeros((2, 4)), ()), TWO, width=2, **GOOD
        ),
    ),
    "step: seen of another batch": (
        "step",
        lambda: decode.greedy(lambda s, t: (s, jnp.zeros((2, 4)), jnp.zeros(3)), TWO, **GOOD),
    ),
    "state: two batches": ("state", lambda: decode.greedy(fixed, (TWO, jnp.zeros(3)), **GOOD)),
    "state: none": ("state", lambda: decode.greedy(fixed, (), **GOOD)),
    "start: no token": ("start", lambda: decode.greedy(fixed, TWO, **GOOD | {"start": 4})),
    "start: floats": ("start", lambda: decode.greedy(fixed, TWO, **GOOD | {"start": TWO})),
    "start: another batch": (
        "state",
        lambda: decode.greedy(fixed, TWO, **GOOD | {"start": jnp.zeros(3, int)}),
    ),
    "end: no token": ("end", lambda: decode.greedy(fixed, TWO, **GOOD | {"end": -1})),
    "end: a string": ("end", lambda: decode.greedy(fixed, TWO, **GOOD | {"end": "</s>"})),
    "max_steps: zero": ("max_steps", lambda: decode.greedy(fixed, TWO, **GOOD | {"max_steps": 0})),
    "pad: a float": ("pad", lambda: decode.greedy(fixed, TWO, pad=0.5, **GOOD)),
    "width: zero": ("width", lambda: decode.beam(fixed, TWO, width=0, **GOOD)),
    "length_penalty: infinite": (
        "length_penalty",
        lambda: decode.beam(fixed, TWO, width=2, length_penalty=np.inf, **GOOD),
    ),
    "coverage_penalty: negative": (
        "coverage_penalty",
        lambda: decode.beam(fixed, TWO, width=2, coverage_penalty=-1.0, **GOOD),
    ),
    "weights: none seen": (
        "weights",
        lambda: decode.beam(fixed, TWO, width=2, coverage_penalty=1.0, **GOOD),
    ),
    "memory_mask: batch first": (
        "memory_mask",
        lambda: decode.beam(
            lambda s, t: (s, jnp.zeros((2, 4)), jnp.ones((2, 5))), TWO, width=2,
            coverage_penalty=1.0, memory_mask=jnp.ones((2, 5), bool), **GOOD,
        ),
    ),
    "key: a seed": ("key", lambda: decode.sample(fixed, TWO, 0, **GOOD)),
    "temperature: zero": (
        "temperature",
        lambda: decode.sample(fixed, TWO, KEY, temperature=0.0, **GOOD),
    ),
    "top_k: above V": ("top_k", lambda: decode.sample(fixed, TWO, KEY, top_k=5, **GOOD)),
    "top_p: percent": ("top_p", lambda: decode.sample(fixed, TWO, KEY, top_p=90, **GOOD)),
    "k: zero": ("k", lambda: decode.keep_top_k(TWO, 0)),
    "p: zero": ("p", lambda: decode.keep_nucleus(TWO, 0.0)),
    "logits: integers": ("logits", lambda: decode.keep_top_k(jnp.arange(3), 1)),
    "tokens: floats": ("tokens", lambda: decode.score(fixed, TWO, jnp.zeros((3, 2)), start=1)),
    "tokens: batch first": (
        "tokens",
        lambda: decode.score(fixed, TWO, jnp.zeros((2, 3), int), start=1),
    ),
    "lengths: over T": (
        "lengths",
        lambda: decode.score(
            fixed, TWO, jnp.zeros((3, 2), int), start=1, lengths=jnp.array([4, 1])
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", BAD)
def test_a_mistake_is_named(mistake, without_shape_annotations):
    argument, call = BAD[mistake]
    require_argument_error(call, argument)


def read_from(logits):
    """A step that returns ``logits [T, B, V]`` one after the other, whatever it reads."""

    def step(state, tokens):
        return {"t": state["t"] + 1}, logits[state["t"][0]], ()

    return step, {"t": jnp.zeros(logits.shape[1], jnp.int32)}


@pytest.mark.parametrize("alpha", [0.0, 0.7])
def test_nan_is_seen_by_every_decoder_and_in_its_row_alone(alpha):
    logits = jax.random.normal(jax.random.key(3), (4, 3, 5))
    options = {"start": 1, "max_steps": 4}

    @jax.jit
    def all_of(logits):
        step, state = read_from(logits)
        key = jax.random.key(0)
        return (
            decode.greedy(step, state, end=None, **options),
            decode.sample(step, state, key, end=None, top_k=3, top_p=0.6, **options),
            decode.beam(step, state, end=0, width=3, length_penalty=alpha, **options),
        )

    expected = all_of(logits)
    for bad in (np.nan, np.inf):  # inf - inf is NaN
        found = all_of(logits.at[2, 1, 3].set(bad))
        for one in found:
            assert np.all(np.isnan(one.scores[1])), one
        beams = found[2]
        assert np.all(np.isnan(beams.log_probabilities[1])) and np.isnan(beams.best().scores[1])
        assert not np.any(beams.lengths[1]) and not np.any(beams.ended[1])
        for one, other in zip(found, expected, strict=True):
            for name in other._fields:
                if name != "seen":
                    sides = [np.asarray(getattr(side, name)) for side in (one, other)]
                    given, wanted = (np.delete(s, 1, 1 if name == "tokens" else 0) for s in sides)
                    assert np.all(np.isfinite(wanted))
                    np.testing.assert_array_equal(given, wanted)


def test_nan_of_a_hypothesis_that_is_not_followed_is_not_seen():
    """Slots without a hypothesis hold copies of others, and a finished row keeps reading."""
    logits = jnp.full((4, 2, 3), -jnp.inf).at[:, :, 0].set(0.0)  # both end at once, for certain
    logits = logits.at[1:].set(jnp.nan)
    logits = logits.at[0, 1].set(jnp.array([-2.0, 0.0, 0.0])).at[1:, 1].set(0.0)
    step, state = read_from(logits)
    found = decode.beam(step, state, start=1, end=0, max_steps=4, width=2)
    assert found.lengths[0].tolist() == [1, 0]
    assert found.scores[0].tolist() == [0.0, -np.inf]
    assert np.all(np.isfinite(found.scores[1]))


def test_weights_that_are_nan_are_seen():
    def step(state, tokens):
        return state, jnp.zeros((2, 3)), jnp.array([[0.5, 0.5], [jnp.nan, 0.5]])

    found = decode.beam(
        step, jnp.zeros(2), start=1, end=0, max_steps=3, width=2, coverage_penalty=0.3
    )
    assert np.all(np.isfinite(found.scores[0])) and np.all(np.isnan(found.scores[1]))


@pytest.mark.parametrize(
    "temperature, dtype",
    mostly_slow(
        itertools.product((1e-300, 1e-45, 1e-38, 1e-20), ("float32", "float16", "bfloat16")),
        [(1e-38, "float32"), (1e-45, "bfloat16")],
    ),
)
def test_near_temperature_zero_the_most_probable_is_drawn(temperature, dtype):
    scale = 1e30 if dtype != "float16" else 1e4
    options = {"start": 1, "end": None, "max_steps": 4}

    @jax.jit
    def all_of(logits, traced):
        step, state = read_from(logits)
        sample = functools.partial(decode.sample, step, state, jax.random.key(1), **options)
        filters = ({}, {"top_k": 2}, {"top_p": 1e-6}, {"top_k": 3, "top_p": 0.5})
        drawn = [sample(temperature=temperature, **given) for given in filters]
        return decode.greedy(step, state, **options), drawn, sample(temperature=traced)

    rng = np.random.default_rng(0)
    order = jnp.asarray(rng.permuted(np.tile(np.arange(8.0), (4, 3, 1)), axis=-1))
    for logits in (order.astype(dtype), (scale * order).astype(dtype)):
        for traced in (0.0, temperature):
            greedy, drawn, last = all_of(logits.at[0, 0, 0].set(-jnp.inf), np.float32(traced))
            for found in (*drawn, last):
                np.testing.assert_array_equal(found.tokens, greedy.tokens)
                np.testing.assert_array_equal(found.scores, greedy.scores)


def test_temperatures_have_the_shares_that_they_say():
    """Over 4,000 rows, at ordinary and infinite temperatures, and between equal tokens."""
    rows = 4000
    logits = jnp.array([2.0, -jnp.inf, 0.5, 2.0, -1.0])
    step, state = read_from(jnp.broadcast_to(logits, (1, rows, 5)))
    options = {"start": 1, "end": None, "max_steps": 1}

    def shares(temperature, **filters):
        tokens = decode.sample(
            step, state, jax.random.key(2), temperature=temperature, **filters, **options
        ).tokens
        return np.bincount(np.asarray(tokens).reshape(-1), minlength=5) / rows

    def softmax(values):
        powers = np.exp(np.asarray(values) - np.max(values))
        return powers / powers.sum()

    for temperature in (0.5, 1.0, 3.0):
        np.testing.assert_allclose(shares(temperature), softmax(logits / temperature), atol=0.03)
    for temperature in (1e38, 1e300):
        np.testing.assert_allclose(shares(temperature), [0.25, 0, 0.25, 0.25, 0.25], atol=0.03)
    np.testing.assert_allclose(shares(1e-38), [0.5, 0, 0, 0.5, 0], atol=0.03)
    assert shares(1e-38, top_k=1).tolist() == shares(1.0, top_p=1e-30).tolist() == [1, 0, 0, 0, 0]


def test_where_no_token_is_possible_the_score_says_so():
    @jax.jit
    def all_of(logits):
        step, state = read_from(logits)
        options = {"start": 1, "max_steps": 2}
        sample = functools.partial(decode.sample, step, state, jax.random.key(0), **options)
        drawn = [sample(end=None, temperature=value) for value in (1e-38, 1.0, 1e38)]
        return drawn, decode.beam(step, state, end=0, width=2, **options)

    drawn, beams = all_of(jnp.full((2, 3, 4), -jnp.inf))
    for found in drawn:
        assert np.all(found.scores == -np.inf) and not np.any(found.tokens)
    assert np.all(beams.scores == -np.inf) and not np.any(beams.lengths)

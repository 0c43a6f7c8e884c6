"""Modes that users of JAX turn on: strict promotion, no jit, a search for NaN, donated buffers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax import attend, decode, seq2seq, tasks, train
from tests.conformance import close
from tests.selection import mostly_slow

KEY = jax.random.key(0)
XS = jnp.asarray(np.random.default_rng(0).normal(size=(4, 2, 3)), jnp.float32)
LENGTHS = jnp.array([4, 2])


@pytest.fixture
def strict():
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        yield


def test_the_callers_own_code_stays_strict(strict):
    cell = lj.lstm(4)
    params = cell.init(KEY, 3)
    _, ys = lj.unroll(cell, params, XS)
    with pytest.raises(ValueError, match="rank_promotion"):
        ys + jnp.ones(4)
    with pytest.raises(Exception, match="dtype_promotion"):
        ys + jnp.ones(ys.shape, jnp.int32)


@pytest.mark.slow
def test_a_gradient_by_hand_and_what_is_run_at_once(strict):
    cell = lj.mixed_precision(lj.chain(lj.dropout(lj.lstm(4), 0.1), lj.zoneout(lj.gru(4), 0.1)))
    params = cell.init(KEY, 3)
    state = cell.initial_state(params, (2,))
    state, _ = cell.step(params, state, XS[0], key=KEY)

    def loss(params):
        _, ys = lj.unroll(cell, params, XS, state, lengths=LENGTHS, key=KEY)
        return ys.astype(jnp.float32).sum()

    grads = jax.grad(loss)(params)
    assert all(np.all(np.isfinite(g)) for g in jax.tree.leaves(grads))
    assert "deferred" in lj.explain(cell, params, XS, checkpoint_every="1 MiB")


@pytest.mark.parametrize("name", attend.registry)
def test_mechanisms(strict, name):
    mechanism = attend.make(name, 4)
    for around in (mechanism, attend.local(mechanism, 2, alignment="predictive")):

        def contexts(key, memory, around=around):
            params = around.init(key, 4, 4)
            prepared = around.prepare(params, memory, attend.length_mask(jnp.array([1, 3]), 3))
            return around.attend(params, prepared, around.start((2,), 3), jnp.ones((2, 4)))[1:]

        jax.eval_shape(jax.grad(lambda m: contexts(KEY, m)[0].sum()), jnp.ones((3, 2, 4)))


@pytest.mark.parametrize("output", mostly_slow(["vocabulary", "pointer", "copy"], ["vocabulary"]))
@pytest.mark.slow
def test_translation(strict, output):
    given = {"start": 0, "end": 1} if output != "pointer" else {}
    given |= {"extra": 1, "unknown": 2} if output == "copy" else {}
    model = seq2seq.encoder_decoder(
        lj.bidirectional(lj.gru(2), lj.rnn(2)), lj.lstm(4), 7, None if output == "pointer" else 7,
        embedding_size=3, output=output, dropout=0.1, **given,
    )  # fmt: skip
    tokens = jnp.ones((4, 2), jnp.int32)

    def loss(params):
        return model.loss(params, tokens, tokens, source_lengths=LENGTHS, target_lengths=LENGTHS,
                          key=KEY, own=0.3, label_smoothing=0.1)  # fmt: skip

    params = model.init(KEY)
    jax.eval_shape(jax.grad(loss), params)
    for method, options in {"greedy": {}, "sample": {"key": KEY}, "beam": {"width": 2}}.items():

        def written(params, method=method, options=options):
            return model.decode(params, tokens, max_steps=3, method=method, **options)

        jax.eval_shape(written, params)


@pytest.mark.slow
def test_decoders(strict):
    table = jax.random.normal(KEY, (5, 5))

    def step(state, tokens):
        return state, table[tokens], jax.nn.softmax(state)

    state, common = jnp.ones((2, 3)), {"start": 0, "end": 1, "max_steps": 4}
    decode.greedy(step, state, **common)
    decode.sample(step, state, KEY, temperature=0.5, top_k=3, top_p=0.9, **common)
    decode.beam(step, state, width=2, length_penalty=0.6, coverage_penalty=0.2, **common)
    decode.score(step, state, jnp.zeros((4, 2), jnp.int32), start=0)


@pytest.mark.parametrize(
    "name",
    mostly_slow(
        ["adding", "parity", "temporal_order", "embedded_reber", "dyck"], ["adding", "dyck"]
    ),
)
def test_training(strict, name):
    task = tasks.make(name)
    model = train.recurrent(lj.lstm(3), task.input_size, task.output_size, reads=task.reads)
    optimizer = train.optimizer("adam", 0.01, clip=1.0, schedule="cosine", warmup=2, steps=10)

    def run(state):
        state, metrics = train.take_steps(model, task, optimizer, state, KEY, steps=2, batch_size=4)
        batch = task.sample(KEY, 4)
        answers = model.answer(state.params, batch.xs)
        met = None if task.success is None else task.success.met(answers, batch)
        return metrics, met, [score.measure(answers, batch) for score in (task.score, *task.scores)]

    jax.eval_shape(run, train.start(model, optimizer, KEY))


def test_truncated_and_on_devices(strict):
    cell = lj.gru(4)
    params = cell.init(KEY, 3)

    def loss(params, xs):
        return train.unroll_truncated(cell, params, xs, every=3, offset=jnp.int32(1))[1].mean()

    jax.eval_shape(jax.grad(loss), params, XS)

    def mean(params, xs):
        return lj.unroll(cell, params, xs)[1].mean()

    spread = lj.data_parallel(mean, batch_axes=(None, 1), devices=jax.devices()[:2])
    value, _ = spread(params, XS)
    np.testing.assert_allclose(value, lj.unroll(cell, params, XS)[1].mean(), rtol=1e-5)


NOISY = {
    "zoneout": lj.zoneout(lj.lstm(3), 0.2),
    "zoneout_plain": lj.zoneout(lj.mgu(3), 0.2),
    "zoneout_linear": lj.zoneout(lj.min_gru(3), 0.2),
    "dropout": lj.dropout(lj.gru(3), 0.2, on="output"),
    "dropout_recurrent": lj.dropout(lj.lstm(3), 0.2, on="recurrent", variational=True),
    "drop_connect": lj.drop_connect(lj.lstm(3), 0.2),
    "learned": lj.learned_state(lj.zoneout(lj.lstm(3), 0.2)),
    "lru": lj.lru(2),
}


QUICK = ("zoneout_linear",)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in NOISY]
)
def test_without_jit(name):
    cell = NOISY[name]
    params = cell.init(KEY, 3)

    def both(method):
        def loss(params):
            return lj.unroll(cell, params, XS, lengths=LENGTHS, method=method, key=KEY)[1].sum()

        return jax.value_and_grad(loss)(params)

    expected = jax.jit(both, static_argnums=0)("auto")
    with jax.disable_jit():
        for method in ("auto", "scan"):
            close(both(method), expected, 1e-5, what=method)
        cell.step(params, cell.initial_state(params, (2,)), XS[0], key=KEY)


@pytest.mark.parametrize("cell", [
    lj.attention(4, 2, 3),
    *(pytest.param(c, marks=pytest.mark.slow) for c in (lj.slstm(4), lj.mlstm(4), lj.lstmn(4, 3))),
])  # fmt: skip
@pytest.mark.slow
def test_a_search_for_nan_finds_none(cell):
    params = cell.init(KEY, 3)
    with jax.debug_nans(True):
        resets = jnp.zeros((4, 2), bool).at[2, 0].set(True)
        for method in ("auto", "scan"):
            jax.grad(
                lambda params, method=method: lj.unroll(
                    cell, params, XS, lengths=LENGTHS, resets=resets, method=method
                )[1].sum()
            )(params)


@pytest.mark.parametrize("cell", [lj.lstmn(3, 2), lj.learned_state(lj.gru(3)),
                                  lj.zoneout(lj.lstm(3), 0.1), lj.attention(2)])  # fmt: skip
def test_a_first_state_can_be_donated(cell):
    params = cell.init(KEY, 3)
    state = cell.initial_state(params, (2,))
    expected = lj.unroll(cell, params, XS, state)
    run = jax.jit(lambda state: lj.unroll(cell, params, XS, state), donate_argnums=0)
    close(run(state), expected, 1e-6)


def test_a_state_that_an_author_builds_of_one_array_can_be_donated_too():
    def twice(zeros):
        one = zeros(3) + 1.0
        return lj.LSTMState(one, one)

    cell = lj.core.plain_cell(
        "twice", 3, lj.core.equal_gates((), 3), init=lambda key, size, dtype: {}, state=twice,
        advance=lambda params, state, x: (state, state.h),
    )  # fmt: skip
    state = cell.initial_state({}, (2,))
    np.testing.assert_array_equal(state.c, np.ones((2, 3)))
    jax.jit(lambda state: jax.tree.map(jnp.sin, state), donate_argnums=0)(state)


@pytest.mark.slow
def test_the_delta_rule_has_a_forward_mode_by_every_method():
    cell = lj.linear_attention(4, 2, rule="delta", gated=True)
    with jax.enable_x64(True):
        params = cell.init(KEY, 3, jnp.float64)
        xs = jax.random.normal(KEY, (35, 2, 3), jnp.float64)  # more than one chunk
        point = (params, xs)
        along = jax.tree.map(lambda a: jnp.cos(jnp.arange(a.size) + 1.0).reshape(a.shape), point)

        def outputs(method):
            return lambda params, xs: lj.unroll(cell, params, xs, method=method)[1]

        def curvature(method):
            loss = lambda params: jnp.sin(outputs(method)(params, xs)).sum()  # noqa: E731
            return jax.jit(lambda p: jax.jvp(jax.grad(loss), (p,), along[:1])[1])(params)

        def slope(method):
            return jax.jit(lambda *args: jax.jvp(outputs(method), args, along))(*point)

        close(slope("parallel"), slope("scan"))
        close(curvature("parallel"), curvature("scan"), 1e-9)

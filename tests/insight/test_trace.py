"""The trace's gates put together by hand give the states; what is kept; gradients; bad input.

That a trace shows what the unroll computes is a law of every cell (``tests/conformance.py``).
"""

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax.cells.lstm import GREFF_VARIANTS
from tests.conformance import LENGTHS, RESETS, B, Case, T, arguments, draw
from tests.selection import mostly_slow

RULES = {}
SLOW = {"irnn", "lstm_norm", "lstm_projected", "gru_reset_before", "linear_attention", "slstm",
        "min_gru", "gru_norm", "indrnn", "clockwork", "ntm", "linear_attention_gated", "delta_net",
        *(f"lstm_{variant}" for variant in GREFF_VARIANTS if variant != "cifg")}  # fmt: skip


@pytest.fixture
def unchecked():
    """Without shape annotations, as for a user: our own errors must come first."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def rule(*names):
    """Registers the equations of the cells ``names``, from ``(params, trace)`` to states."""

    def register(function):
        RULES.update(dict.fromkeys(names, function))
        return function

    return register


@rule("rnn", "irnn", "indrnn")
def rnn(params, trace):
    return {"h": trace.gates["cell"]}


@rule("clockwork")
def clockwork(params, trace):
    periods = np.array([1, 2, 4])  # one unit each
    active = trace.previous.t[..., None] % periods == 0
    return {"h": np.where(active, trace.gates["cell"], trace.previous.h)}


LSTMS = ("lstm", "lstm_norm", "lstm_projected", "lstm_v", "lstm_nig", "lstm_nfg", "lstm_nog",
         "lstm_niaf", "lstm_noaf", "lstm_cifg", "lstm_np", "lstm_fgr")  # fmt: skip


@rule(*LSTMS)
def lstm(params, trace):
    gates = trace.gates
    i = gates.get("input", 1.0)
    f = gates.get("forget", 1.0)
    return {"c": f * trace.previous.c + i * gates["cell"]}


@rule("lstm_cifg")
def coupled(params, trace):
    i = trace.gates["input"]
    return {"c": (1 - i) * trace.previous.c + i * trace.gates["cell"]}


@rule("conv_lstm")
def conv_lstm(params, trace):
    gates = trace.gates
    c = gates["forget"] * trace.previous.c + gates["input"] * gates["cell"]
    return {"c": c, "h": gates["output"] * np.tanh(c)}


@rule("multidimensional")
def multidimensional(params, trace):
    gates, c = trace.gates, np.zeros_like(trace.previous.c)
    for place in range(c.shape[-2]):
        left = c[..., place - 1, :] if place else 0.0
        g = {name: gate[..., place, :] for name, gate in gates.items()}
        up = g["forget"] * trace.previous.c[..., place, :]
        c[..., place, :] = up + g["forget_left"] * left + g["input"] * g["cell"]
    return {"c": c, "h": gates["output"] * np.tanh(c)}


@rule("lstm_1997")
def lstm_1997(params, trace):
    return {"c": trace.previous.c + trace.gates["input"] * trace.gates["cell"]}


@rule("gru", "gru_reset_before", "gru_norm", "conv_gru")
def gru(params, trace):
    u = trace.gates["update"]
    return {"h": u * trace.previous.h + (1 - u) * trace.gates["candidate"]}


@rule("mgu")
def mgu(params, trace):
    f = trace.gates["forget"]
    return {"h": (1 - f) * trace.previous.h + f * trace.gates["candidate"]}


@rule("min_gru")
def min_gru(params, trace):
    u = trace.gates["update"]
    return {"h": (1 - u) * trace.previous.h + u * trace.gates["candidate"]}


@rule("min_lstm")
def min_lstm(params, trace):
    i, f = trace.gates["input"], trace.gates["forget"]
    return {"h": (f * trace.previous.h + i * trace.gates["candidate"]) / (f + i)}


@rule("lru")
def lru(params, trace):
    decay = np.exp(-np.exp(params["nu_log"]) + 1j * np.exp(params["theta_log"]))
    h = decay * (trace.previous.real + 1j * trace.previous.imag)
    return {"real": h.real + trace.gates["real"], "imag": h.imag + trace.gates["imag"]}


def outer(trace, write):
    """The sum of keys times ``write``, for one head."""
    return trace.gates["key"][..., None, :, None] * write[..., None, None, :]


@rule("linear_attention", "linear_attention_gated")
def linear_attention(params, trace):
    f = trace.gates.get("forget", np.ones((T, B, 1)))
    memory = f[..., None, None] * trace.previous.memory + outer(trace, trace.gates["value"])
    return {"memory": memory, "keys": f[..., None] * trace.previous.keys
            + trace.gates["key"][..., None, :]}  # fmt: skip


@rule("delta_net", "delta_net_gated")
def delta_net(params, trace):
    f = trace.gates.get("forget", np.ones((T, B, 1)))
    kept = f[..., None, None] * trace.previous.memory
    read = np.einsum("tbk,tbhkv->tbv", trace.gates["key"], kept)
    write = trace.gates["input"] * (trace.gates["value"] - read)
    return {"memory": kept + outer(trace, write)}


@rule("slstm")
def slstm(params, trace):
    i, f = trace.gates["input"], trace.gates["forget"]
    c = f * trace.previous.c + i * trace.gates["cell"]
    n = f * trace.previous.n + i
    return {"c": c, "n": n, "h": trace.gates["output"] * c / n}


@rule("mlstm")
def mlstm(params, trace):
    i, f = trace.gates["input"], trace.gates["forget"]
    c = f[..., None, None] * trace.previous.c
    c = c + i[..., None, None] * outer(trace, trace.gates["value"])
    n = f[..., None] * trace.previous.n + i[..., None] * trace.gates["key"][..., None, :]
    return {"c": c, "n": n}


@rule("attention")
def attention(params, trace):
    keys = np.concatenate([trace.previous.keys[..., 1:, :], trace.gates["key"][..., None, None, :]],
                          axis=-2)  # fmt: skip
    return {"keys": keys}


@rule("lstmn")
def lstmn(params, trace):
    memory = np.einsum("tbw,tbwh->tbh", trace.attention, trace.previous.c)
    c = trace.gates["forget"] * memory + trace.gates["input"] * trace.gates["cell"]
    return {"c": np.concatenate([trace.previous.c[..., 1:, :], c[..., None, :]], axis=-2)}


@rule("complex_gru")
def complex_gru(params, trace):
    u = trace.gates["update"]
    real, imag = np.split(trace.gates["candidate"], 2, axis=-1)
    return {"real": (1 - u) * trace.previous.real + u * real,
            "imag": (1 - u) * trace.previous.imag + u * imag}  # fmt: skip


@rule("complex_lstm")
def complex_lstm(params, trace):
    i, f = trace.gates["input"], trace.gates["forget"]
    real, imag = np.split(trace.gates["cell"], 2, axis=-1)
    return {"c_real": f * trace.previous.c_real + i * real,
            "c_imag": f * trace.previous.c_imag + i * imag}  # fmt: skip


@rule("urnn", "eurnn")
def urnn(params, trace):
    real, imag = np.split(trace.gates["cell"], 2, axis=-1)
    return {"real": real, "imag": imag}


@rule("scornn")
def scornn(params, trace):
    return {"h": trace.gates["cell"]}


@rule("associative_lstm")
def associative_lstm(params, trace):
    def numbers(gate):
        real, imag = np.split(trace.gates[gate], 2, axis=-1)
        return real + 1j * imag

    random = np.random.RandomState(0)
    orders = np.stack([random.permutation(3) for _ in range(4)])
    written = trace.gates["input"] * numbers("cell")
    c = trace.previous.c_real + 1j * trace.previous.c_imag
    c = trace.gates["forget"][..., None, :] * c
    c = c + numbers("in_key")[..., orders] * written[..., None, :]
    return {"c_real": c.real, "c_imag": c.imag}


@rule("ntm")
def ntm(params, trace):
    gates, memory, width = trace.gates, trace.previous.memory, 16
    c = gates["forget"] * trace.previous.c + gates["input"] * gates["cell"]
    h = gates["output"] * np.tanh(c)
    out = h @ params["w_write"] + params["b_write"]
    erase, add = 1 / (1 + np.exp(-out[..., -2 * width : -width])), np.tanh(out[..., -width:])
    reading, writing = trace.attention[..., 0, :, None], trace.attention[..., 1, :, None]
    memory = memory * (1 - writing * erase[..., None, :]) + writing * add[..., None, :]
    return {"c": c, "h": h, "memory": memory, "read": np.sum(reading * memory, axis=-2)}


def example(name, **masks):
    """A traced cell and its trace from its own initial state, in float64."""
    case = Case(lj.cells.make(name, 3), 3)
    args = arguments(case, **masks)
    start = case.cell.initial_state(args.params, (B,))
    return args, lj.trace(case.cell, args.params, args.xs, start,
                          lengths=args.lengths, resets=args.resets)  # fmt: skip


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", mostly_slow(lj.cells.registry, lj.cells.registry.keys() - SLOW))
def test_gates_put_together_by_hand_give_the_states(name):
    args, trace = example(name, lengths=LENGTHS, resets=RESETS)
    trace = jax.tree.map(np.asarray, trace)
    expected = RULES[name](jax.tree.map(np.asarray, args.params), trace)
    for field, states in expected.items():
        np.testing.assert_allclose(
            getattr(trace.states, field)[trace.mask], states[trace.mask], rtol=1e-12, atol=1e-12
        )


@pytest.mark.usefixtures("x64")
def test_attention_weights_read_the_values():
    cell = lj.attention(4, 2, 3)
    args = arguments(Case(cell))
    trace = lj.trace(cell, args.params, args.xs, lengths=LENGTHS)
    assert trace.attention.shape == (T, B, 2, 3)
    np.testing.assert_allclose(np.sum(trace.attention, -1)[trace.mask], 1.0, rtol=1e-12)
    read = np.einsum("tbhw,tbhwd->tbhd", trace.attention, trace.states.values)
    y = read.reshape(T, B, 4) @ args.params["w_y"] + args.params["b_y"]
    np.testing.assert_allclose(y[trace.mask], trace.outputs[trace.mask], rtol=1e-12)


@pytest.mark.usefixtures("x64")
def test_chunks_equal_the_whole():
    cell = lj.chain(lj.lstm(3), lj.gru(2))
    args = arguments(Case(cell))
    whole = lj.trace(cell, args.params, args.xs, args.state)
    first = lj.trace(cell, args.params, args.xs[:2], args.state)
    second = lj.trace(cell, args.params, args.xs[2:], first.last)
    joined = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), first.states, second.states)
    for one, other in zip(jax.tree.leaves(joined), jax.tree.leaves(whole.states), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-13)
    assert list(whole.parts) == ["0", "1"]
    np.testing.assert_allclose(
        second.parts["1"].gates["update"], whole.parts["1"].gates["update"][2:]
    )


def test_parts_of_layers_and_of_wrappers():
    inner = lj.bidirectional(lj.lstm(2), lj.gru(3))
    cell = lj.dropout(lj.residual(lj.chain(lj.rnn(4), inner, lj.lstm(2))), 0.5)
    params = cell.init(jax.random.key(0), 2)
    trace = lj.trace(cell, params, jnp.ones((T, B, 2)), key=jax.random.key(1))
    assert not trace.gates and list(trace.parts) == ["0", "1", "2"]
    assert list(trace.parts["0"].gates) == ["cell"]
    both = trace.parts["1"]
    assert sorted(both.parts) == ["backward", "forward"] and both.outputs.shape == (T, B, 5)
    assert (both.reverse, both.parts["backward"].reverse) == (False, True)
    assert sorted(both.parts["backward"].gates) == ["candidate", "reset", "update"]
    # The state is the wrapper's own.
    np.testing.assert_array_equal(trace.states.t, np.arange(1, T + 1)[:, None].repeat(B, 1))
    np.testing.assert_array_equal(trace.states.cell[2].c, trace.parts["2"].states.c)
    with pytest.raises(ValueError, match="previous: expected a trace in one direction"):
        _ = trace.previous
    # The backward cell ends at the first step.
    np.testing.assert_array_equal(trace.last.cell[1].backward.h, both.parts["backward"].states.h[0])


def test_parts_inside_an_attentive_cell():
    memory = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    cell = lj.attentive(lj.chain(lj.lstm(2), lj.gru(3)), memory)
    params = cell.init(jax.random.key(0), 2)
    xs = jax.random.normal(jax.random.key(1), (T, B, 2))
    trace = lj.trace(cell, params, xs, lengths=LENGTHS, resets=RESETS)
    assert trace.attention.shape == (T, B, 5)
    np.testing.assert_array_equal(trace.states.cell[0].c, trace.parts["0"].states.c)
    previous = trace.parts["1"].previous.h
    expected = trace.previous.cell[1].h
    np.testing.assert_array_equal(previous[trace.mask], expected[trace.mask])


@pytest.mark.usefixtures("x64")
def test_only_what_is_kept_takes_memory():
    cell = lj.lstm(3)
    args = arguments(Case(cell))
    whole = lj.trace(cell, args.params, args.xs)
    some = lj.trace(cell, args.params, args.xs, keep=("forget", "c"))
    assert list(some.gates) == ["forget"] and some.states.h is None
    np.testing.assert_array_equal(some.gates["forget"], whole.gates["forget"])
    np.testing.assert_array_equal(some.states.c, whole.states.c)
    np.testing.assert_array_equal(some.previous.c, whole.previous.c)
    stack = lj.chain(lj.gru(2), cell)
    params = stack.init(jax.random.key(0), 2, jnp.float64)
    part = lj.trace(stack, params, args.xs, keep=("c",)).parts
    assert not part["0"].gates and part["0"].states.h is None and part["1"].states.c is not None

    def temporaries(keep):
        run = jax.jit(lambda params, xs: lj.trace(cell, params, xs, keep=keep).gates["forget"])
        xs = jnp.zeros((1000, 4, 2), args.xs.dtype)
        return run.lower(args.params, xs).compile().memory_analysis().temp_size_in_bytes

    steps = 1000 * 4 * 3 * 8  # bytes of one array over time
    assert temporaries(("forget",)) < 4 * steps < 8 * steps


@pytest.mark.usefixtures("x64")
def test_gradients_pass_through_every_gate():
    cell = lj.gru(3)
    args = arguments(Case(cell), lengths=LENGTHS, resets=RESETS)

    def loss(params):
        trace = lj.trace(cell, params, args.xs, lengths=LENGTHS, resets=RESETS)
        return sum(jnp.sum(jnp.sin(gate)) for gate in trace.gates.values())

    grad = jax.grad(loss)(args.params)
    along = draw(args.params, 7)
    step = 1e-6
    ahead, behind = (
        loss(jax.tree.map(lambda p, d, s=s: p + s * d, args.params, along)) for s in (step, -step)
    )
    expected = sum(map(jnp.vdot, jax.tree.leaves(grad), jax.tree.leaves(along)))
    np.testing.assert_allclose((ahead - behind) / (2 * step), expected, rtol=1e-8)


def test_a_row_of_a_batch():
    cell = lj.attention(4, 2, 3)
    params = cell.init(jax.random.key(0), 2)
    xs = jax.random.normal(jax.random.key(1), (T, 2, B, 2))
    whole = lj.trace(cell, params, xs)
    row = whole.row((1, 2))
    alone = lj.trace(cell, params, xs[:, 1, 2])
    for one, other in zip(jax.tree.leaves(row), jax.tree.leaves(alone), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match=r"index: expected a row of a batch of shape \(2, 4\)"):
        whole.row((2, 0))
    with pytest.raises(ValueError, match=r"index: .* got 1"):
        whole.row(1)


def test_a_row_that_is_not_an_integer(unchecked):
    cell = lj.gru(2)
    trace = lj.trace(cell, cell.init(jax.random.key(0), 2), jnp.ones((T, B, 2)))
    with pytest.raises(TypeError, match="index: expected an integer per batch axis, got 'first'"):
        trace.row("first")


def test_no_steps():
    cell = lj.bidirectional(lj.lstm(3), lj.gru(2))
    params = cell.init(jax.random.key(0), 2)
    trace = lj.trace(cell, params, jnp.zeros((0, B, 2)))
    assert trace.outputs.shape == (0, B, 5) and trace.mask.shape == (0, B)
    np.testing.assert_array_equal(trace.last.forward.c, np.zeros((B, 3)))
    assert lj.trace(lj.lstm(3), params["forward"], jnp.zeros((0, B, 2))).previous.c.shape == (
        0,
        B,
        3,
    )


def test_a_cell_of_no_form_shows_states_and_outputs():
    cell = lj.gru(3)
    plain = cell._replace(form=None)
    params = cell.init(jax.random.key(0), 2)
    xs = jax.random.normal(jax.random.key(1), (T, B, 2))
    trace = lj.trace(plain, params, xs)
    assert trace.gates == {} and trace.attention is None
    np.testing.assert_allclose(trace.states.h, lj.trace(cell, params, xs).states.h, rtol=1e-6)


def test_a_step_that_was_replaced_is_the_one_that_runs():
    cell = lj.lstm(3)
    doubled = cell._replace(advance=lambda *args: (lambda s, y: (s, 2 * y))(*cell.advance(*args)))
    params = cell.init(jax.random.key(0), 2)
    xs = jax.random.normal(jax.random.key(1), (T, B, 2))
    expected = lj.unroll(doubled, params, xs, method="scan")[1]
    trace = lj.trace(doubled, params, xs)
    np.testing.assert_array_equal(trace.outputs, expected)
    assert not trace.gates
    stacked = lj.chain(doubled)
    state = stacked.initial_state((params,), (B,))
    np.testing.assert_allclose(stacked.step((params,), state, xs[0])[1], expected[0], rtol=1e-6)


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"cell": "lstm"}, TypeError, "cell: "),
        ({"keep": ("forget", "d")}, ValueError,
         r"keep: expected names among c, cell, forget, h, input, output for lstm\(3\), got 'd'"),
        ({"keep": "forget"}, TypeError, "keep: expected a tuple of names, got 'forget'"),
        ({"keep": (1,)}, TypeError, r"keep: expected a tuple of names, got \(1,\)"),
        ({"xs": np.ones((T, 2), int)}, ValueError, "xs: "),
        ({"lengths": np.full(B, T + 1)}, ValueError, "lengths: "),
        ({"resets": np.zeros((T, 2), bool)}, ValueError, "resets: "),
        ({"reverse": 1}, TypeError, "reverse: "),
    ],
)  # fmt: skip
def test_bad_input(change, error, message, unchecked):
    cell = lj.lstm(3)
    given = {"cell": cell, "params": cell.init(jax.random.key(0), 2), "xs": np.ones((T, B, 2), "f")}
    with pytest.raises(error, match=message):
        lj.trace(**given | change)

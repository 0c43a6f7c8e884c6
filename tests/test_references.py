"""Law 7: with the same weights, the same numbers as independent implementations.

NumPy: ``tests/reference/numpy_cells.py``, float64 loops written from the papers, with
backpropagation through time by hand. PyTorch and Keras: stored vectors, made by
``tests/reference/make_peer_vectors.py``. Flax: its cells, run here.
"""

import itertools
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import lstm_jax as lj
from tests.conformance import close, draw
from tests.reference import numpy_cells as reference
from tests.selection import mostly_slow

T, B, D, H = 7, 4, 3, 5
LENGTHS = np.array([7, 0, 4, 1])
RESETS = np.random.default_rng(0).random((T, B)) < 0.3

FAMILIES = {
    "rnn_tanh": (lj.rnn(H), reference.rnn_forward, reference.rnn_backward, {}),
    "rnn_relu": (
        lj.rnn(H, activation="relu"),
        partial(reference.rnn_forward, activation="relu"),
        partial(reference.rnn_backward, activation="relu"),
        {},
    ),
    "lstm": (lj.lstm(H), reference.lstm_forward, reference.lstm_backward, {}),
    "gru": (
        lj.gru(H),
        partial(reference.gru_forward, reset_after=True),
        partial(reference.gru_backward, reset_after=True),
        {},
    ),
    "gru_reset_before": (
        lj.gru(H, reset_after=False),
        partial(reference.gru_forward, reset_after=False),
        partial(reference.gru_backward, reset_after=False),
        {},
    ),
}


@partial(jax.jit, static_argnums=0)
def pull_back(run, cotangent, *args):
    """The result of ``run(*args)`` and the gradients of ``args``, in one program."""
    result, pull = jax.vjp(run, *args)
    return result, pull(cotangent)


def draw_inputs(cell, dtype=jnp.float64, steps=T):
    params = draw(cell.init(jax.random.key(0), D, dtype), 1, dtype)
    xs = draw(jnp.zeros((steps, B, D)), 2, dtype)
    return params, xs, draw(cell.initial_state(params, (B,)), 3, dtype)


def families():
    """Parameters of a test. Quick are those with both masks, for the LSTM and the GRU with all
    masks, and of float32 only the LSTM's; the others are slow."""
    precisions = (("float64", 1e-12), ("float32", 1e-5))
    for family, (dtype, tolerance), masks in itertools.product(
        FAMILIES, precisions, ("none", "lengths", "resets", "both")
    ):
        if dtype == "float64":
            quick = masks == "both" or family in ("lstm", "gru")
        else:
            quick = masks == "both" and family == "lstm"
        marks = () if quick else pytest.mark.slow
        yield pytest.param(family, dtype, tolerance, masks, marks=marks)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("family, dtype, tolerance, masks", list(families()))
def test_outputs_states_and_gradients_equal_numpy(family, dtype, tolerance, masks):
    cell, forward, backward, _ = FAMILIES[family]
    params, xs, state = draw_inputs(cell, jnp.dtype(dtype))
    options = {}
    if masks in ("lengths", "both"):
        options["lengths"] = LENGTHS
    if masks in ("resets", "both"):
        options["resets"] = RESETS
    plain = {name: np.asarray(leaf, np.float64) for name, leaf in params.items()}
    start = [np.asarray(leaf, np.float64) for leaf in state]
    expected_state, expected_ys = forward(plain, np.asarray(xs, np.float64), *start, **options)
    rng = np.random.default_rng(4)
    d_ys = rng.normal(size=expected_ys.shape)
    d_state = {name: rng.normal(size=leaf.shape) for name, leaf in expected_state.items()}
    expected = backward(plain, np.asarray(xs, np.float64), *start, d_ys, d_state, **options)
    cast = partial(jnp.asarray, dtype=dtype)
    cotangent = (type(state)(**jax.tree.map(cast, d_state)), cast(d_ys))
    for method in ("scan", "auto"):
        run = partial(lj.unroll, cell, method=method, **options)
        (final, ys), (d_params, d_xs, d_start) = pull_back(run, cotangent, params, xs, state)
        close((final._asdict(), ys), (expected_state, expected_ys), tolerance)
        close((d_params, d_xs, d_start._asdict()), expected, 10 * tolerance)


VARIANTS = {f"greff_{name}": options for name, options in lj.cells.GREFF_VARIANTS.items()} | {
    "coupled": {"coupled": True},
    "no_gates": {"input_gate": False, "forget_gate": False, "output_gate": False},
    "fgr_coupled": {"coupled": True, "full_gate_recurrence": True, "peephole": True},
    "fgr_without_input_gate": {"input_gate": False, "full_gate_recurrence": True},
}


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("variant", VARIANTS)
def test_lstm_variants_equal_numpy(variant):
    cell = lj.lstm(H, **VARIANTS[variant])
    params, xs, state = draw_inputs(cell)
    state = state._replace(gates=jnp.zeros_like(state.gates)) if len(state) == 3 else state
    final, ys = lj.unroll(cell, params, xs, state)
    expected = reference.lstm_variant(params, xs, state.h, state.c, **VARIANTS[variant])
    close((final._asdict(), ys), expected)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    "cell, function",
    [
        (lj.lstm(H, projection=2), reference.lstm_projected),
        (lj.lstm(H, norm="layer"), reference.lstm_layer_norm),
        (lj.gru(H, norm="layer"), reference.gru_layer_norm),
        (lj.mgu(H), reference.mgu),
        (lj.min_gru(H), reference.min_gru),
        (lj.min_lstm(H), reference.min_lstm),
        (lj.lru(H), reference.lru),
        (lj.lru(H, state_size=2), reference.lru),
    ],
    ids=["lstm_projected", "lstm_norm", "gru_norm", "mgu", "min_gru", "min_lstm", "lru", "lru_2"],
)
def test_other_cells_equal_numpy(cell, function):
    params, xs, state = draw_inputs(cell)
    final, ys = lj.unroll(cell, params, xs, state)
    close((final._asdict(), ys), function(params, xs, *state))


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    "factory, function",
    [(lj.min_gru, reference.min_gru_log), (lj.min_lstm, reference.min_lstm_log)],
    ids=["min_gru", "min_lstm"],
)
def test_positive_minimal_cells_equal_the_papers_log_space(factory, function):
    cell = factory(H, activation="positive")
    params, xs, state = draw_inputs(cell)
    state = state._replace(h=jnp.abs(state.h))
    final, ys = lj.unroll(cell, params, xs, state)
    close((final._asdict(), ys), function(params, xs, *state))


RANGES_1997 = [("none", (2.0, 1.0)), ("gates", (1.0, 2.0)), ("all", (2.0, 1.0))]  # of g and h


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    "blocks, block_size, output_gate",
    mostly_slow(
        [(*blocks, gate) for blocks in [(1, 1), (3, 2), (2, 3)] for gate in (True, False)],
        [(1, 1, False), (3, 2, True), (2, 3, True)],
    ),
)
@pytest.mark.parametrize("biases, ranges", RANGES_1997)
def test_the_1997_cell_equals_numpy(blocks, block_size, output_gate, biases, ranges):
    options = {"output_gate": output_gate, "g_range": ranges[0], "h_range": ranges[1]}
    cell = lj.lstm_1997(blocks, block_size, biases=biases, **options)
    params, xs, _ = draw_inputs(cell)
    state = cell.initial_state(params, (B,))
    final, ys = lj.unroll(cell, params, xs, state)
    units = params["w_h"].shape[0]
    bias = np.zeros(units)
    if biases != "none":
        bias[: params["b"].size] = params["b"]
    expected, expected_ys = reference.lstm_1997(
        params | {"b": bias}, xs, blocks=blocks, block_size=block_size, **options
    )
    close(ys, expected_ys)
    close(final.c, expected["s"])
    close(jnp.concatenate([final.gates, final.h], -1), expected["y"])


# --- PyTorch -----------------------------------------------------------------------------------


def vectors(peer: str, case: str) -> dict[str, np.ndarray]:
    with np.load(Path(__file__).parent / "reference" / f"peers_{peer}.npz") as stored:
        prefix = f"{case}/"
        return {k.removeprefix(prefix): stored[k] for k in stored.files if k.startswith(prefix)}


def from_torch(v: dict, suffix: str = "_l0", grad: bool = False) -> dict[str, np.ndarray]:
    """PyTorch's weights in our layout: the order of the gates is the same, the matrices are
    transposed, and the two biases are added, except for the GRU candidate's."""
    if grad:
        v = {k.removeprefix("grad/"): leaf for k, leaf in v.items() if k.startswith("grad/")}
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    w_x, w_h, b_x, b_h = (v[name + suffix] for name in names)
    params = {"w_x": w_x.T, "w_h": w_h.T, "b": b_x if grad else b_x + b_h}
    if "weight_hr" + suffix in v:
        params["w_p"] = v["weight_hr" + suffix].T
    if len(b_x) == 3 * w_h.shape[1]:
        size = w_h.shape[1]
        b = b_x.copy()
        if not grad:
            b[: 2 * size] += b_h[: 2 * size]
        params |= {"b": b, "b_h": b_h[2 * size :]}
    return params


TORCH = {
    "rnn_tanh": lj.rnn(4),
    "rnn_relu": lj.rnn(4, activation="relu"),
    "lstm": lj.lstm(4),
    "lstm_proj": lj.lstm(4, projection=3),
    "gru": lj.gru(4),
}


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("case", TORCH)
def test_outputs_states_and_gradients_equal_pytorch(case):
    v, cell = vectors("torch", case), TORCH[case]
    fields = ("h", "c") if "c0" in v else ("h",)
    params = jax.tree.map(jnp.asarray, from_torch(v))
    start = type(cell.initial_state(params))(*(jnp.asarray(v[f"{f}0"][0]) for f in fields))
    run = partial(lj.unroll, cell)
    d_last = type(start)(*(jnp.asarray(v[f"cot_{f}_n"][0]) for f in fields))
    cotangent = (d_last, jnp.asarray(v["cot_ys"]))
    (final, ys), gradients = pull_back(run, cotangent, params, jnp.asarray(v["xs"]), start)
    d_params, d_xs, d_start = gradients
    close((ys, *final), (v["ys"], *(v[f"{f}_n"][0] for f in fields)))
    close(d_params, from_torch(v, grad=True))
    close((d_xs, *d_start), (v["grad/xs"], *(v[f"grad/{f}0"][0] for f in fields)))


@pytest.mark.usefixtures("x64")
def test_two_layers_equal_pytorch():
    v, cell = vectors("torch", "lstm_two_layer"), lj.chain(lj.lstm(4), lj.lstm(4))
    params = jax.tree.map(jnp.asarray, tuple(from_torch(v, f"_l{i}") for i in range(2)))
    start = tuple(lj.LSTMState(*jnp.asarray([v["h0"][i], v["c0"][i]])) for i in range(2))
    d_last = tuple(lj.LSTMState(*jnp.asarray([v["cot_h_n"][i], v["cot_c_n"][i]])) for i in range(2))
    run, cotangent = partial(lj.unroll, cell), (d_last, jnp.asarray(v["cot_ys"]))
    (final, ys), gradients = pull_back(run, cotangent, params, jnp.asarray(v["xs"]), start)
    d_params, d_xs, _ = gradients
    close(ys, v["ys"])
    close(jnp.stack([s.h for s in final]), v["h_n"])
    close(jnp.stack([s.c for s in final]), v["c_n"])
    close(d_params, tuple(from_torch(v, f"_l{i}", grad=True) for i in range(2)))
    close(d_xs, v["grad/xs"])


@pytest.mark.usefixtures("x64")
def test_both_directions_with_padding_equal_pytorch():
    v = vectors("torch", "lstm_bidirectional_packed")
    cell = lj.bidirectional(lj.lstm(4), lj.lstm(4))
    suffixes = {"forward": "_l0", "backward": "_l0_reverse"}
    params = {k: jax.tree.map(jnp.asarray, from_torch(v, s)) for k, s in suffixes.items()}
    start = lj.BidirectionalState(
        *(lj.LSTMState(*jnp.asarray([v["h0"][i], v["c0"][i]])) for i in range(2))
    )
    run = partial(lj.unroll, cell, lengths=v["lengths"])
    d_last = lj.BidirectionalState(
        *(lj.LSTMState(*jnp.asarray([v["cot_h_n"][i], v["cot_c_n"][i]])) for i in range(2))
    )
    cotangent = (d_last, jnp.asarray(v["cot_ys"]))
    (final, ys), gradients = pull_back(run, cotangent, params, jnp.asarray(v["xs"]), start)
    d_params, d_xs, _ = gradients
    close(ys, v["ys"])
    close(jnp.stack([s.h for s in final]), v["h_n"])
    close(jnp.stack([s.c for s in final]), v["c_n"])
    close(d_params, {k: from_torch(v, s, grad=True) for k, s in suffixes.items()})
    close(d_xs, v["grad/xs"])


# --- Keras -------------------------------------------------------------------------------------


def from_keras(v: dict, order: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Keras' weights in our layout; ``order`` gives the places of our gates among Keras'."""

    def reorder(packed):
        blocks = np.split(packed, len(order), axis=-1)
        return np.concatenate([blocks[i] for i in order], axis=-1)

    params = {"w_x": reorder(v["kernel"]), "w_h": reorder(v["recurrent_kernel"])}
    bias = reorder(v["bias"])
    if bias.ndim == 2:  # one for each product: only the candidate's stay apart
        size = bias.shape[1] // len(order)
        recurrent = bias[1].copy()
        recurrent[-size:] = 0
        return params | {"b": bias[0] + recurrent, "b_h": bias[1, -size:]}
    return params | {"b": bias}


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    "case, cell, order",
    [
        ("simple_rnn", lj.rnn(4), (0,)),
        ("lstm", lj.lstm(4), (0, 1, 2, 3)),
        ("lstm_masked", lj.lstm(4), (0, 1, 2, 3)),
        ("gru_reset_after", lj.gru(4), (1, 0, 2)),
        ("gru_reset_before", lj.gru(4, reset_after=False), (1, 0, 2)),
    ],
)
def test_outputs_and_states_equal_keras(case, cell, order):
    v = vectors("keras", case)
    fields = ("h", "c") if "c0" in v else ("h",)
    params = from_keras(v, order)
    start = type(cell.initial_state(params))(*(v[f"{f}0"] for f in fields))
    final, ys = lj.unroll(cell, params, v["xs"], start, lengths=v.get("lengths"))
    close((ys, *final), (v["ys"], *(v[f"{f}_n"] for f in fields)))


# --- Flax --------------------------------------------------------------------------------------


def randomise(module, seed=0):
    """A Flax module with distinct, nonzero values in all its parameters."""
    graph, state = nnx.split(module)
    rng = np.random.default_rng(seed)
    state = jax.tree.map(lambda leaf: jnp.asarray(0.5 * rng.normal(size=leaf.shape)), state)
    return nnx.merge(graph, state)


def flax_run(cell, xs, carry):
    ys = []
    for x in xs:
        carry, y = cell(carry, x)
        ys.append(y)
    return carry, jnp.stack(ys)


def join_gates(module, gates, leaf):
    return jnp.concatenate([getattr(getattr(module, gate), leaf)[...] for gate in gates], axis=-1)


@pytest.mark.usefixtures("x64")
def test_lstm_equals_flax():
    options = {"rngs": nnx.Rngs(0), "param_dtype": jnp.float64}
    theirs = randomise(nnx.LSTMCell(D, H, **options))
    params = {
        "w_x": join_gates(theirs, ("ii", "if_", "ig", "io"), "kernel"),
        "w_h": join_gates(theirs, ("hi", "hf", "hg", "ho"), "kernel"),
        "b": join_gates(theirs, ("hi", "hf", "hg", "ho"), "bias"),
    }
    cell = lj.lstm(H)
    _, xs, state = draw_inputs(cell)
    (c, h), expected = flax_run(theirs, xs, (state.c, state.h))
    final, ys = lj.unroll(cell, params, xs, state)
    close((ys, final), (expected, lj.LSTMState(h, c)))


@pytest.mark.usefixtures("x64")
def test_gru_equals_flax():
    """Flax's candidate has no recurrent bias of its own (flax issue 5594): b_h is zero."""
    theirs = randomise(nnx.GRUCell(D, H, rngs=nnx.Rngs(0), param_dtype=jnp.float64))
    if hasattr(theirs, "dense_i"):  # one packed kernel, in the order r, z, n
        params = {"w_x": theirs.dense_i.kernel[...], "w_h": theirs.dense_h.kernel[...],
                  "b": theirs.dense_i.bias[...]}  # fmt: skip
    else:
        params = {
            "w_x": join_gates(theirs, ("ir", "iz", "in_"), "kernel"),
            "w_h": join_gates(theirs, ("hr", "hz", "hn"), "kernel"),
            "b": join_gates(theirs, ("ir", "iz", "in_"), "bias"),
        }
    params["b_h"] = jnp.zeros(H)
    cell = lj.gru(H)
    _, xs, state = draw_inputs(cell)
    h, expected = flax_run(theirs, xs, state.h)
    final, ys = lj.unroll(cell, params, xs, state)
    close((ys, final.h), (expected, h))


@pytest.mark.usefixtures("x64")
def test_rnn_equals_flax():
    options = {"rngs": nnx.Rngs(0), "dtype": jnp.float64, "param_dtype": jnp.float64}
    theirs = randomise(nnx.SimpleCell(D, H, **options))
    params = {
        "w_x": theirs.dense_i.kernel[...],
        "w_h": theirs.dense_h.kernel[...],
        "b": theirs.dense_i.bias[...],
    }
    cell = lj.rnn(H)
    _, xs, state = draw_inputs(cell)
    h, expected = flax_run(theirs, xs, state.h)
    final, ys = lj.unroll(cell, params, xs, state)
    close((ys, final.h), (expected, h))

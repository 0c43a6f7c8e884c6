"""What cannot be converted is an error that names the option."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax import interop

H, D = 4, 3
KEY = jax.random.key(0)
TARGETS = {
    "torch": interop.to_torch,
    "keras": interop.to_keras,
    "flax": interop.to_nnx,
    "flax.linen": interop.to_linen,
    "equinox": interop.to_equinox,
    "haiku": interop.to_haiku,
}
LSTM_OPTIONS = {
    "peephole": True,
    "coupled": True,
    "input_gate": False,
    "forget_gate": False,
    "output_gate": False,
    "full_gate_recurrence": True,
    "norm": "layer",
    "gate_activation": "positive",
    "cell_activation": "positive",
    "output_activation": "identity",
}


def convert(target, cell, **options):
    if target == "keras":  # the others are imported only if the cell can be converted
        pytest.importorskip(target)
    return TARGETS[target](cell, cell.init(KEY, D), **options)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("option", LSTM_OPTIONS)
def test_options_of_the_lstm(target, option):
    if target.startswith("flax") and option in ("gate_activation", "cell_activation"):
        pytest.skip("Flax takes any function")
    with pytest.raises(ValueError, match=f"^{option}: expected .*, got"):
        convert(target, lj.lstm(H, **{option: LSTM_OPTIONS[option]}))


@pytest.mark.parametrize("target", ["flax", "flax.linen"])
@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_flax_takes_any_activation(target, kind):
    options = {"cell_activation": "positive", "output_activation": "positive"}
    cell = lj.lstm(H, **options) if kind == "lstm" else lj.gru(H, activation="positive")
    params = cell.init(KEY, D)
    if target == "flax":
        again, same = interop.from_nnx(interop.to_nnx(cell, params))
    else:
        again, same = interop.from_linen(*interop.to_linen(cell, params))
    assert again == cell
    assert jax.tree.all(jax.tree.map(jnp.array_equal, same, params))


CELLS = [
    ("torch", lj.gru(H, reset_after=False), "reset_after"),
    ("flax", lj.gru(H, reset_after=False), "reset_after"),
    ("flax.linen", lj.gru(H, reset_after=False), "reset_after"),
    ("equinox", lj.gru(H, reset_after=False), "reset_after"),
    ("haiku", lj.gru(H), "reset_after"),
    ("haiku", lj.rnn(H), "activation"),
    ("haiku", lj.bidirectional(lj.lstm(H), lj.lstm(H)), "bidirectional"),
    ("torch", lj.gru(H, activation="relu"), "activation"),
    ("torch", lj.gru(H, norm="layer"), "norm"),
    ("torch", lj.rnn(H, activation="sigmoid"), "activation"),
    ("keras", lj.rnn(H, activation="positive"), "activation"),
    ("keras", lj.lstm(H, projection=2), "projection"),
    ("flax", lj.lstm(H, projection=2), "projection"),
    ("flax.linen", lj.lstm(H, projection=2), "projection"),
    ("equinox", lj.lstm(H, projection=2), "projection"),
    ("haiku", lj.lstm(H, projection=2), "projection"),
    ("equinox", lj.rnn(H), "cell"),
    ("torch", lj.mgu(H), "cell"),
    ("torch", lj.residual(lj.lstm(D)), "cell"),
    ("torch", lj.zoneout(lj.lstm(H), 0.1), "cell"),
    ("torch", lj.drop_connect(lj.lstm(H), 0.1), "cell"),
    ("torch", lj.learned_state(lj.lstm(H)), "cell"),
    ("torch", lj.mixed_precision(lj.lstm(H)), "cell"),
    ("torch", lj.lstm(H)._replace(name="mine"), "cell"),
    ("torch", lj.chain(lj.lstm(H), lj.gru(H)), "cell"),
    ("torch", lj.chain(lj.lstm(H), lj.lstm(5)), "cell"),
    ("torch", lj.bidirectional(lj.lstm(H), lj.lstm(H), merge="sum"), "merge"),
    ("torch", lj.chain(lj.bidirectional(lj.lstm(H), lj.lstm(H)), lj.lstm(H)), "bidirectional"),
    ("torch", lj.dropout(lj.lstm(H), 0.5), "dropout"),
    ("torch", lj.chain(lj.lstm(H), lj.dropout(lj.lstm(H), 0.5, variational=True)), "dropout"),
    ("torch", lj.chain(lj.lstm(H), lj.dropout(lj.lstm(H), 0.5, on="output")), "dropout"),
    ("keras", lj.dropout(lj.lstm(H), 0.5), "dropout"),
    ("keras", lj.dropout(lj.lstm(H), 0.5, on="recurrent", variational=True), "dropout"),
    ("keras", lj.bidirectional(lj.lstm(H), lj.lstm(5)), "bidirectional"),
    ("flax", lj.dropout(lj.lstm(H), 0.5), "dropout"),
    ("flax.linen", lj.dropout(lj.lstm(H), 0.5), "dropout"),
    ("equinox", lj.dropout(lj.lstm(H), 0.5), "dropout"),
    ("haiku", lj.dropout(lj.lstm(H), 0.5), "dropout"),
]


@pytest.mark.parametrize(
    "target, cell, option", [pytest.param(*case, id=f"{case[0]}-{case[1].name}") for case in CELLS]
)
def test_cells_that_a_library_does_not_have(target, cell, option):
    with pytest.raises(ValueError, match=f"^{option}: expected .*, got"):
        convert(target, cell)


@pytest.mark.parametrize("target", ["torch", "keras", "equinox"])
def test_biases_that_would_be_lost(target):
    cell = lj.lstm(H)  # whose forget bias is 1
    with pytest.raises(ValueError, match=r"^params\['b'\] of the gate 'forget': expected zeros"):
        convert(target, cell, bias=False)


def test_the_recurrent_bias_that_nnx_does_not_have():
    cell = lj.gru(H)
    params = cell.init(KEY, D)
    interop.to_nnx(cell, params)  # it is zero
    with pytest.raises(ValueError, match=r"^params\['b_h'\]: expected zeros, since Flax NNX's GRU"):
        interop.to_nnx(cell, params | {"b_h": params["b_h"] + 0.5})


def test_params_of_another_cell():
    with pytest.raises(ValueError, match=r"^params"):
        interop.to_torch(lj.lstm(H), lj.gru(H).init(KEY, D))
    with pytest.raises(TypeError, match=r"^cell: expected a Cell"):
        interop.to_torch(lj.lstm, {})


def test_params_of_two_dtypes():
    cell = lj.lstm(H)
    params = cell.init(KEY, D)
    with pytest.raises(ValueError, match=r"^params: expected weights of one dtype"):
        interop.to_haiku(cell, params | {"b": params["b"].astype(jnp.bfloat16)})


def torch_entries(rows=4, dtype=np.float32, **more):
    entries = {
        "weight_ih_l0": np.ones((rows * H, D), dtype),
        "weight_hh_l0": np.ones((rows * H, H), dtype),
    }
    return entries | more


def biased(rows):
    return torch_entries(**{f"bias_{n}_l0": np.ones(rows, np.float32) for n in ("ih", "hh")})


@pytest.mark.parametrize(
    "entries, options, message",
    [
        (torch_entries(1), {}, "nonlinearity: expected 'tanh' or 'relu'"),
        (torch_entries(4), {"nonlinearity": "tanh"}, "nonlinearity: expected None for an nn.LSTM"),
        (torch_entries(2), {}, "module: expected weight_hh_l0 with 4, 3 or 1"),
        (torch_entries(dtype=np.float64), {}, r"module\['weight_ih_l0'\]: expected float32"),
        (torch_entries(dtype=np.int32), {}, r"module\['weight_ih_l0'\]: expected a float"),
        (torch_entries(**{"fc.weight": np.ones(3)}), {}, "module: .* got 'fc.weight'; give"),
        (torch_entries(weight_ih_l2=np.ones((16, H))), {}, "module: .* with all layers"),
        (biased(5), {}, r"module\['bias_ih_l0'\]: expected shape"),
        (biased(8), {}, r"module\['bias_ih_l0'\]: expected shape"),
        ({}, {}, "module: expected the entries of one recurrent module"),
        ({"weight_ih_l0": np.ones((16, 3), np.float32)}, {}, "module: expected weight_hh"),
    ],
)
def test_state_dicts(entries, options, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        interop.from_torch(entries, **options)


def test_modules_of_other_kinds():
    for convert_from in (interop.from_torch, interop.from_keras, interop.from_nnx,
                         interop.from_equinox):  # fmt: skip
        with pytest.raises(TypeError, match=r"^(module|layer): expected an? .*, got int"):
            convert_from(3)
    with pytest.raises(ValueError, match=r"^variables: expected a dict"):
        interop.from_linen(None, {})
    with pytest.raises(ValueError, match=r"^params: expected a module 'lstm'"):
        interop.from_haiku({"mlp": {"w": jnp.ones((3, 4))}}, "lstm")
    with pytest.raises(ValueError, match=r"^names: expected the names of the cores"):
        interop.from_haiku({"a/linear": {"w": jnp.ones((7, 16))}, "b": {}})


def test_modules_of_torch():
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match=r"^module: expected an nn.LSTM.*, got Linear"):
        interop.from_torch(torch.nn.Linear(3, 4))
    with pytest.raises(ValueError, match=r"^dropout: expected None for a module"):
        interop.from_torch(torch.nn.LSTM(3, 4), dropout=0.5)
    cell = lj.lstm(H, projection=2)
    with pytest.raises(ValueError, match=r"^projection: expected None"):
        interop.to_torch(cell, cell.init(KEY, D), single_step=True)
    two = lj.chain(lj.lstm(H), lj.lstm(H))
    with pytest.raises(ValueError, match=r"^single_step: expected False"):
        interop.to_torch(two, two.init(KEY, D), single_step=True)


KERAS = {
    "go_backwards": lambda layers: layers.LSTM(H, go_backwards=True),
    "activation": lambda layers: layers.LSTM(H, activation="gelu"),
    "recurrent_activation": lambda layers: layers.GRU(H, recurrent_activation="elu"),
    "recurrent_dropout": lambda layers: layers.GRU(H, recurrent_dropout=0.5),
    "implementation": lambda layers: layers.LSTM(H, dropout=0.5, implementation=1),
    "dtype": lambda layers: layers.LSTM(H, dtype="mixed_bfloat16"),
    "merge_mode": lambda layers: layers.Bidirectional(layers.LSTM(H), merge_mode="ave"),
}


@pytest.mark.parametrize("option", KERAS)
def test_options_of_keras(option):
    keras = pytest.importorskip("keras")
    layer = KERAS[option](keras.layers)
    layer.build((None, None, D))
    with pytest.raises(ValueError, match=f"^{option}: expected .*, got"):
        interop.from_keras(layer)


def test_layers_of_keras():
    keras = pytest.importorskip("keras")
    with pytest.raises(ValueError, match=r"^layer: expected a built layer"):
        interop.from_keras(keras.layers.LSTM(H))
    with pytest.raises(TypeError, match=r"^layer: expected an LSTM, GRU .*, got Dense"):
        interop.from_keras(keras.layers.Dense(H))


def flax_cells(nn, cell):
    shared = nn.RNN(cell("GRUCell"))
    return {
        "residual": cell("SimpleCell", residual=True),
        "activation_fn": cell("GRUCell", activation_fn=jax.nn.gelu),
        "gate_fn": cell("LSTMCell", gate_fn=jax.nn.elu),
        "dtype": cell("GRUCell", dtype=jnp.bfloat16),
        "reverse": nn.RNN(cell("GRUCell"), reverse=True),
        "backward_rnn": nn.Bidirectional(shared, shared),
        "merge_fn": nn.Bidirectional(
            nn.RNN(cell("GRUCell")), nn.RNN(cell("GRUCell")), merge_fn=jnp.maximum
        ),
    }


FLAX = ("residual", "activation_fn", "gate_fn", "dtype", "reverse", "backward_rnn", "merge_fn")


@pytest.mark.parametrize("option", FLAX)
def test_options_of_nnx(option):
    from flax import nnx

    module = flax_cells(nnx, lambda n, **o: getattr(nnx, n)(D, H, rngs=nnx.Rngs(0), **o))[option]
    with pytest.raises(ValueError, match=f"^{option}: expected .*, got"):
        interop.from_nnx(module)


@pytest.mark.parametrize("option", FLAX)
def test_options_of_linen(option):
    from flax import linen

    module = flax_cells(linen, lambda n, **o: getattr(linen, n)(H, **o))[option]
    layer = linen.RNN(module) if isinstance(module, linen.RNNCellBase) else module
    variables = layer.init(KEY, jnp.zeros((2, 3, D)))
    if layer is not module:
        variables = {"params": variables["params"]["cell"]}
    with pytest.raises(ValueError, match=f"^{option}: expected .*, got"):
        interop.from_linen(module, variables)


def test_linens_mgu():
    from flax import linen

    with pytest.raises(TypeError, match=r"^module: expected an OptimizedLSTMCell.*, got MGUCell"):
        interop.from_linen(linen.MGUCell(H), {"params": {}})

"""Modules that another library takes or computes otherwise than ours are errors, and never lost."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax import interop

H, D = 4, 3
KEY = jax.random.key(0)


def layer(suffix, inputs=D, size=H, gates=4, bias=True):
    """The entries of one layer of a state dict of PyTorch."""
    shapes = {"weight_ih": (gates * size, inputs), "weight_hh": (gates * size, size)}
    if bias:
        shapes |= {"bias_ih": (gates * size,), "bias_hh": (gates * size,)}
    return {name + suffix: np.ones(shape, np.float32) for name, shape in shapes.items()}


def without(entries, *names):
    return {name: array for name, array in entries.items() if name not in names}


TWO = layer("_l0") | layer("_l1", H)
BOTH = layer("_l0") | layer("_l0_reverse", 5)
STATE_DICTS = {
    "one bias": (without(layer("_l0"), "bias_hh_l0"), {}, "module: .*'bias_hh_l0'.*all biases"),
    "one bias of two": (
        without(TWO, "bias_hh_l0"),
        {},
        "module: .*'bias_hh_l0' beside 'bias_hh_l1",
    ),
    "biases of one layer": (
        layer("_l0", bias=False) | layer("_l1", H),
        {},
        "module: expected an entry 'bias_ih_l0' beside 'bias_ih_l1'",
    ),
    "projection of one layer": (
        TWO | {"weight_hr_l0": np.ones((2, H), np.float32)},
        {},
        "module: expected an entry 'weight_hr_l1' beside 'weight_hr_l0'",
    ),
    "projection of a gru": (
        layer("_l0", gates=3) | {"weight_hr_l0": np.ones((H, H), np.float32)},
        {},
        "module: expected no other entries .* got 'weight_hr_l0'",
    ),
    "two names": (layer("_l0") | layer(""), {}, "module: .*got 'bias_hh' beside 'bias_hh_l0'"),
    "two numbers": (layer("_l0") | layer("_l00"), {}, "module: .*got 'weight_ih_l00'"),
    "inputs": (
        layer("_l0") | layer("_l1", 5),
        {},
        r"module\['weight_ih_l1'\]: expected weights for 4 inputs, the size of layer 0's outputs, "
        "got weights for 5",
    ),
    "inputs of two directions": (BOTH, {}, r"module\['weight_ih_l0_reverse'\]: .* for 3 inputs"),
    "sizes": (
        layer("_l0") | layer("_l1", H, 6),
        {},
        r"module\['weight_hh_l1'\]: expected 4 hidden",
    ),
    "kinds": (layer("_l0") | layer("_l1", H, 6, 3), {}, "module: expected layers of one kind, got"),
    "shape": (TWO | {"weight_ih_l1": np.ones((9, H), np.float32)}, {}, r"module\['weight_ih_l1'\]"),
    "no inputs": (layer("_l0", 0), {}, r"module\['weight_ih_l0'\]: expected .* one input or more"),
    "dtype": (
        layer("_l0") | {n: a.astype(np.float16) for n, a in layer("_l1", H).items()},
        {},
        r"module\['weight_ih_l1'\]: expected float32, the dtype of the other weights",
    ),
    "dropout of one layer": (layer("_l0"), {"dropout": 0.3}, "dropout: expected 0 for one layer"),
    "dropout": (TWO, {"dropout": 2.0}, r"dropout: expected a probability in \[0, 1\), got 2.0"),
    "prefix": (TWO, {"prefix": 3}, "prefix: expected text, got 3"),
    "names": ({1: np.ones(3)}, {}, "module: expected names that are text, got 1"),
}


@pytest.mark.parametrize("case", STATE_DICTS)
def test_state_dicts_that_no_module_has(case):
    entries, options, message = STATE_DICTS[case]
    with pytest.raises(lj.ArgumentError, match=f"^{message}"):
        interop.from_torch(entries, **options)


def test_state_dicts_that_modules_have():
    assert interop.from_torch(TWO)[0] == lj.chain(lj.lstm(H), lj.lstm(H))
    assert interop.from_torch(layer("", gates=3))[0] == lj.gru(H)
    assert interop.from_torch(layer("_l0", size=1, gates=3))[0] == lj.gru(1)


def test_modules_of_torch_that_compute_otherwise():
    torch = pytest.importorskip("torch")
    for name in ("LSTM", "GRUCell"):
        mine = type("Mine", (getattr(torch.nn, name),), {})
        with pytest.raises(TypeError, match=r"^module: expected an nn.LSTM.*, got Mine"):
            interop.from_torch(mine(D, H))
    with pytest.raises(ValueError, match=r"^dropout: expected a probability"):
        interop.from_torch(torch.nn.LSTM(D, H, num_layers=2, dropout=1.0))
    normed = torch.nn.utils.parametrizations.weight_norm(torch.nn.GRU(D, H), "weight_hh_l0")
    with torch.no_grad():
        normed.parametrizations.weight_hh_l0.original0.mul_(3)
    cell, params = interop.from_torch(normed)
    xs = np.random.default_rng(0).normal(size=(4, 2, D)).astype(np.float32)
    ys = normed(torch.tensor(xs))[0].detach().numpy()
    np.testing.assert_allclose(lj.unroll(cell, params, xs)[1], ys, atol=1e-6)
    hooked = torch.nn.GRU(D, H)
    prune = pytest.importorskip("torch.nn.utils.prune")
    prune.identity(hooked, "weight_hh_l0")
    with pytest.raises(ValueError, match=r"^module: expected a parameter 'weight_hh_l0'"):
        interop.from_torch(hooked)


def built(one):
    one.build((None, None, D))
    return one


def test_layers_of_keras_that_compute_otherwise():
    keras = pytest.importorskip("keras")
    layers = keras.layers
    mine = {
        f"My{base.__name__}": type(f"My{base.__name__}", (base,), {})
        for base in (layers.LSTM, layers.LSTMCell, layers.StackedRNNCells, layers.Bidirectional)
    }
    lstm, cell, stack, both = mine.values()
    with keras.saving.custom_object_scope(mine):  # Bidirectional copies its layer by name
        cases = {
            "layer": lstm(H),
            "layer.cell": layers.RNN(cell(H)),
            r"layer.layers\[0\]": keras.Sequential([lstm(H)]),
            "layer.forward_layer": layers.Bidirectional(lstm(H)),
            "layer.forward_layer.cell": layers.Bidirectional(layers.RNN(cell(H))),
            r"layer.cell.cells\[1\]": layers.RNN([layers.LSTMCell(H), cell(H)]),
            "layer.cell ": layers.RNN(stack([layers.LSTMCell(H)])),
            "layer ": both(layers.LSTM(H)),
        }
    for place, one in cases.items():
        with pytest.raises(TypeError, match=f"^{place.strip()}: expected an .*, got My"):
            interop.from_keras(built(one))
    with pytest.raises(ValueError, match=r"^layer: expected at least one layer, got none"):
        interop.from_keras(keras.Sequential([]))
    with pytest.raises(ValueError, match=r"^dropout: expected a probability"):
        interop.from_keras(built(layers.LSTM(H, dropout=1.0)))


def test_cells_of_equinox_that_do_not_fit():
    equinox = pytest.importorskip("equinox")

    def gru(inputs, kind=equinox.nn.GRUCell):
        return kind(inputs, H, key=KEY)

    with pytest.raises(TypeError, match=r"^module\[1\]: expected an nn.LSTMCell.*, got Mine"):
        interop.from_equinox((gru(D), gru(H, type("Mine", (equinox.nn.GRUCell,), {}))))
    with pytest.raises(ValueError, match=r"^module\[1\]\['weight_ih'\]: expected weights for 4 in"):
        interop.from_equinox((gru(D), gru(D)))
    with pytest.raises(ValueError, match=r"^module\['backward'\]: expected a single cell in each"):
        interop.from_equinox({"forward": gru(D), "backward": (gru(D), gru(H))})
    with pytest.raises(ValueError, match=r"^module: expected at least one layer"):
        interop.from_equinox(())


def test_names_of_haikus_modules():
    cell = lj.chain(lj.gru(H, reset_after=False), lj.gru(H, reset_after=False))
    params = cell.init(KEY, D)
    _, tree = interop.to_haiku(cell, params, names=("a", "b"))
    swapped = r"params\['a'\]\['w_i'\]: expected weights for 4 inputs"
    for names, message in (
        (["a", "a"], "names: expected different names, got 'a' twice"),
        (3, "names: expected a name or a list of names, got 3"),
        ([3, "a"], "names: expected a name or a list of names"),
        ([], "names: expected"),
        (["b", "a"], swapped),
    ):
        with pytest.raises(lj.ArgumentError, match=f"^{message}"):
            interop.from_haiku(tree, names)
        if message != swapped:
            with pytest.raises(lj.ArgumentError, match=f"^{message}"):
                interop.to_haiku(cell, params, names=names)
    for wrong, message in (
        ({"lstm/linear": 3}, r"params\['lstm/linear'\]: expected a dict, got int"),
        ({3: {}}, "params: expected names that are text, got 3"),
        (3, "params: expected a dict, got int"),
    ):
        with pytest.raises(TypeError, match=f"^{message}"):
            interop.from_haiku(wrong)
    for rows in (H, H - 1):  # those of the hidden units alone, and fewer
        arrays = {"w": np.ones((rows, 4 * H), np.float32), "b": np.ones(4 * H, np.float32)}
        with pytest.raises(ValueError, match=r"^params\['lstm'\]\['linear/w'\]: .* one input"):
            interop.from_haiku({"lstm/linear": arrays})


def modules_of_flax(nn, cell, sequence):
    """Modules that are refused, by the start of the message."""
    mine = type("Mine", (nn.RNN,), {})
    rnn = lambda inputs=D: nn.RNN(cell("GRUCell", inputs))  # noqa: E731
    two = sequence(rnn(), rnn(H))
    return {
        "carry_init: expected zeros, got ones": cell("LSTMCell", carry_init=nn.initializers.ones),
        "module(.*): expected an OptimizedLSTMCell.*, got Mine": mine(cell("GRUCell")),
        "module.forward_rnn: expected a single cell in each direction": nn.Bidirectional(
            two, rnn()
        ),
        "module.backward_rnn: expected a single cell in each direction": nn.Bidirectional(
            rnn(), nn.Bidirectional(rnn(), rnn())
        ),
        "module: expected at least one layer": sequence(),
    }


CASES = tuple(range(5))


@pytest.mark.filterwarnings("ignore:carry_init")
@pytest.mark.parametrize("case", CASES)
def test_modules_of_nnx(case):
    nnx = pytest.importorskip("flax.nnx")
    cell = lambda name, inputs=D, **o: getattr(nnx, name)(  # noqa: E731
        inputs, H, rngs=nnx.Rngs(0), **o
    )
    message, module = list(modules_of_flax(nnx, cell, nnx.Sequential).items())[case]
    with pytest.raises(lj.ArgumentError, match=f"^{message}"):
        interop.from_nnx(module)


@pytest.mark.parametrize("case", CASES)
def test_modules_of_linen(case):
    linen = pytest.importorskip("flax.linen")
    cell = lambda name, inputs=D, **o: getattr(linen, name)(H, **o)  # noqa: E731
    sequence = lambda *layers: linen.Sequential(layers)  # noqa: E731
    message, module = list(modules_of_flax(linen, cell, sequence).items())[case]

    good = linen.RNN(linen.GRUCell(H)).init(KEY, jnp.ones((2, 3, D)))["params"]
    params = good | {"layers_0": good, "layers_1": good}
    params |= {"forward_rnn": params, "backward_rnn": params}
    params |= {"forward_rnn": params, "backward_rnn": params}
    if message.startswith("carry"):
        params = linen.RNN(module).init(KEY, jnp.ones((2, 3, D)))["params"]["cell"]
    with pytest.raises(lj.ArgumentError, match=f"^{message}"):
        interop.from_linen(module, {"params": params})


def test_layers_of_flax_that_do_not_fit():
    nnx = pytest.importorskip("flax.nnx")
    cells = [nnx.GRUCell(D, H, rngs=nnx.Rngs(0)) for _ in range(2)]
    place = r"^module.layers\[1\].cell\['dense_i/kernel'\]: expected weights for 4 inputs"
    with pytest.raises(ValueError, match=place):
        interop.from_nnx(nnx.Sequential(*map(nnx.RNN, cells)))
    cells[0].dense_i = nnx.LoRALinear(D, 3 * H, lora_rank=1, rngs=nnx.Rngs(0))
    with pytest.raises(TypeError, match=r"^module.dense_i: expected an nnx.Linear"):
        interop.from_nnx(cells[0])
    with pytest.raises(ValueError, match=r"^promote_dtype: expected Flax's own"):
        interop.from_nnx(nnx.GRUCell(D, H, promote_dtype=lambda *a, **_: a, rngs=nnx.Rngs(0)))
    linen = pytest.importorskip("flax.linen")
    for wrong, message in (
        ({"params": 3}, r"variables\['params'\]: expected a dict, got int"),
        ({3: 3}, "variables: expected names that are text, got 3"),
        (3, "variables: expected a dict, got int"),
    ):
        with pytest.raises(TypeError, match=f"^{message}"):
            interop.from_linen(linen.GRUCell(H), wrong)

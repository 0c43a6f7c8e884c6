"""The table against stored outputs and gradients, for libraries that are not installed.

Those of Keras, Equinox and Haiku are made by ``make_vectors.py``, those of PyTorch by
``tests/reference/make_peer_vectors.py``.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax import interop
from lstm_jax.interop.network import Level, build
from lstm_jax.interop.parts import read_part, write_part
from tests.conformance import close
from tests.selection import mostly_slow

VECTORS = Path(__file__).with_name("vectors.npz")
TORCH = Path(__file__).parent.parent / "reference" / "peers_torch.npz"

# The library and its cell, by the name of the case.
CASES = {
    "keras/lstm": ("Keras", "LSTM"),
    "keras/lstm_no_bias": ("Keras", "LSTM"),
    "keras/gru": ("Keras", "GRU"),
    "keras/gru_reset_before": ("Keras", "GRU(reset_after=False)"),
    "keras/rnn": ("Keras", "SimpleRNN"),
    "equinox/lstm": ("Equinox", "nn.LSTMCell"),
    "equinox/gru": ("Equinox", "nn.GRUCell"),
    "equinox/gru_no_bias": ("Equinox", "nn.GRUCell"),
    "haiku/lstm": ("Haiku", "LSTM"),
    "haiku/gru": ("Haiku", "GRU"),
    "haiku/rnn": ("Haiku", "VanillaRNN"),
    "haiku/rnn_single_bias": ("Haiku", "VanillaRNN"),
}


def stored(file, case):
    with np.load(file) as arrays:
        return {n.removeprefix(f"{case}/"): arrays[n] for n in arrays if n.startswith(f"{case}/")}


def test_the_versions_are_recorded():
    with np.load(VECTORS) as arrays:
        names = [str(text).split()[0] for text in arrays["versions"]]
    assert names == ["keras", "equinox", "dm-haiku", "jax"]


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("case", CASES)
def test_stored_vectors(case):
    library, name = CASES[case]
    vectors = stored(VECTORS, case)
    xs, ys, cotangent = (jnp.asarray(vectors.pop(n)) for n in ("xs", "ys", "cotangent"))
    prefix = "gradient/"
    gradients = {n.removeprefix(prefix): a for n, a in vectors.items() if n.startswith(prefix)}
    arrays = {n: jnp.asarray(a) for n, a in vectors.items() if not n.startswith(prefix)}

    def run(arrays, xs):
        part = read_part(library, name, arrays, argument="arrays")
        cell, params = build([Level((part,))], "arrays")
        return lj.unroll(cell, params, xs)[1]

    got, pull = jax.vjp(run, arrays, xs)
    close(got, ys)
    of_arrays, of_xs = pull(cotangent)
    close(of_arrays | {"xs": of_xs}, gradients)

    part = read_part(library, name, arrays, argument="arrays")
    again, written = write_part(library, part)
    back = read_part(library, again, written, argument="arrays")
    assert again == name and part.options == back.options
    close(back.params, part.params)


def torch_state(cell, vectors):
    """h0 and c0, ``[layers * directions, B, H]``, as the cell's state."""
    fields = [vectors[name] for name in ("h0", "c0") if name in vectors]
    leaves = iter(zip(*(list(field) for field in fields), strict=True))

    def fill(state):
        if isinstance(state, lj.LSTMState | lj.GRUState | lj.RNNState):
            return type(state)(*map(jnp.asarray, next(leaves)))
        if isinstance(state, lj.BidirectionalState):
            return lj.BidirectionalState(*map(fill, state))
        return tuple(map(fill, state))

    return fill(cell)


TORCH_CASES = ("rnn_tanh", "rnn_relu", "lstm", "lstm_proj", "gru", "lstm_two_layer",
               "lstm_bidirectional_packed")  # fmt: skip


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("case", mostly_slow(TORCH_CASES, ["lstm_proj", "gru"]))
def test_stored_vectors_of_torch(case):
    vectors = stored(TORCH, case)
    arrays = {n: jnp.asarray(a) for n, a in vectors.items() if n.startswith(("weight", "bias"))}
    nonlinearity = case.removeprefix("rnn_") if case.startswith("rnn") else None
    cell, params = interop.from_torch(arrays, nonlinearity=nonlinearity)
    batch = vectors["xs"].shape[1:2]
    state = torch_state(cell.initial_state(params, batch), vectors)
    options = {"lengths": jnp.asarray(vectors["lengths"])} if "lengths" in vectors else {}

    def loss(arrays, xs):
        _, params = interop.from_torch(arrays, nonlinearity=nonlinearity)
        final, ys = lj.unroll(cell, params, xs, state, **options)
        total = (ys * vectors["cot_ys"]).sum()
        leaves = jax.tree.leaves(final)
        fields = ("h_n", "c_n") if "c_n" in vectors else ("h_n",)
        for i, field in enumerate(fields):
            of_field = jnp.stack(leaves[i :: len(fields)])
            total += (of_field * vectors[f"cot_{field}"]).sum()
        return total, ys

    (_, ys), gradients = jax.value_and_grad(loss, (0, 1), has_aux=True)(
        arrays, jnp.asarray(vectors["xs"])
    )
    close(ys, vectors["ys"])
    expected = {name: vectors[f"grad/{name}"] for name in arrays}
    close(gradients, (expected, vectors["grad/xs"]))

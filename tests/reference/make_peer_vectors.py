"""Make the reference vectors of PyTorch and Keras: peers_torch.npz and peers_keras.npz.

The files that are checked in were made with Python 3.11, NumPy 2.4.6 and

    torch 2.13.0 (CPU build)    for peers_torch.npz
    keras 3.15.1, jax 0.10.2    for peers_keras.npz (Keras on its JAX backend, on the CPU)

To make them again, in an environment of their own (the library itself is not needed):

    pip install numpy==2.4.6 torch==2.13.0 keras==3.15.1 jax==0.10.2
    python tests/reference/make_peer_vectors.py             # both files, next to this script
    python tests/reference/make_peer_vectors.py torch       # one of them
    python tests/reference/make_peer_vectors.py keras --out some/folder

Weights, inputs and cotangents come from NumPy's generator with a fixed seed for each case, so a
case does not depend on the others or on a peer's own initializers. Everything is float64 and loads
with ``allow_pickle=False``. Keys are "case/name".

PyTorch (forward and gradients)
    Cases: rnn_tanh, rnn_relu, lstm, lstm_proj (proj_size), gru, lstm_two_layer and
    lstm_bidirectional_packed (pack_padded_sequence with enforce_sorted=False and the padding put
    back with zeros; its key "lengths").
    Names: PyTorch's own parameter names (weight_ih_l0, bias_hh_l0, weight_hr_l0, ...), xs, h0,
    c0, ys, h_n, c_n; cot_ys, cot_h_n, cot_c_n, the cotangents of the loss
    sum(ys * cot_ys) + sum(h_n * cot_h_n) + sum(c_n * cot_c_n); and grad/NAME, the gradient of
    that loss with respect to each parameter, xs, h0 and c0.
    xs and ys are [time, batch, features]; h0 and c0 are [layers * directions, batch, features].
    Weights are [gates * hidden, features], rows packed by gate: LSTM i, f, g, o; GRU r, z, n.

Keras (forward only; its layers are given JAX's tanh and sigmoid, which keep float64)
    Cases: simple_rnn, lstm, gru_reset_after, gru_reset_before, lstm_masked (a mask made from
    its key "lengths", with zero_output_for_mask=True).
    Names: kernel, recurrent_kernel, bias (the GRU with reset_after has bias [2, 3 * hidden]:
    the input's, then the recurrent one), xs, h0, c0, ys, h_n, c_n.
    xs and ys are stored as [time, batch, features], though Keras itself puts batch first.
    Weights are [features, gates * hidden], columns packed by gate: LSTM i, f, c, o; GRU z, r, h.
"""

import argparse
import os
from pathlib import Path

import numpy as np

SEED = 20240607
STEPS, BATCH, INPUTS, HIDDEN, PROJECTED = 5, 3, 2, 4, 3
LENGTHS = (3, 5, 1)


def make_draw(case_number):
    """A function that draws standard normals of a shape, times a scale."""
    rng = np.random.default_rng([SEED, case_number])

    def draw(*shape, scale=1.0):
        return scale * rng.standard_normal(shape)

    return draw


def torch_case(module, draw, *, lengths=None):
    """Run one module forward and backward, and return what it read and made."""
    import torch

    def leaf(array):
        return torch.tensor(array, dtype=torch.float64, requires_grad=True)

    module = module.double()
    leaves = {}
    for name, parameter in module.named_parameters():
        parameter.data = torch.tensor(draw(*parameter.shape, scale=0.5), dtype=torch.float64)
        leaves[name] = parameter
    directions = 2 if module.bidirectional else 1
    stack = module.num_layers * directions
    outputs = module.proj_size or module.hidden_size
    leaves["xs"] = leaf(draw(STEPS, BATCH, module.input_size))
    leaves["h0"] = leaf(draw(stack, BATCH, outputs, scale=0.5))
    has_cell = isinstance(module, torch.nn.LSTM)
    if has_cell:
        leaves["c0"] = leaf(draw(stack, BATCH, module.hidden_size, scale=0.5))

    initial = (leaves["h0"], leaves["c0"]) if has_cell else leaves["h0"]
    inputs = leaves["xs"]
    if lengths is not None:
        inputs = torch.nn.utils.rnn.pack_padded_sequence(
            inputs, torch.tensor(lengths), enforce_sorted=False
        )
    ys, final = module(inputs, initial)
    if lengths is not None:
        ys, _ = torch.nn.utils.rnn.pad_packed_sequence(ys, total_length=STEPS)
    h_n, c_n = final if has_cell else (final, None)
    results = {"ys": ys, "h_n": h_n}
    if has_cell:
        results["c_n"] = c_n

    arrays = {}
    loss = 0.0
    for name, value in results.items():
        cotangent = draw(*value.shape)
        arrays[f"cot_{name}"] = cotangent
        loss = loss + (value * torch.tensor(cotangent)).sum()
    loss.backward()
    for name, value in {**leaves, **results}.items():
        arrays[name] = value.detach().numpy()
    for name, value in leaves.items():
        arrays[f"grad/{name}"] = value.grad.numpy()
    if lengths is not None:
        arrays["lengths"] = np.array(lengths, dtype=np.int64)
    return arrays


def torch_vectors():
    """Every case of peers_torch.npz."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    print("torch", torch.__version__)
    sizes = (INPUTS, HIDDEN)
    modules = {
        "rnn_tanh": nn.RNN(*sizes, nonlinearity="tanh"),
        "rnn_relu": nn.RNN(*sizes, nonlinearity="relu"),
        "lstm": nn.LSTM(*sizes),
        "lstm_proj": nn.LSTM(*sizes, proj_size=PROJECTED),
        "gru": nn.GRU(*sizes),
        "lstm_two_layer": nn.LSTM(*sizes, num_layers=2),
        "lstm_bidirectional_packed": nn.LSTM(*sizes, bidirectional=True),
    }
    arrays = {}
    for number, (case, module) in enumerate(modules.items()):
        lengths = LENGTHS if case.endswith("_packed") else None
        made = torch_case(module, make_draw(number), lengths=lengths)
        arrays.update({f"{case}/{name}": value for name, value in made.items()})
    return arrays


def keras_case(layer, draw, *, states, lengths=None):
    """Run one layer forward, and return what it read and made."""
    xs = draw(STEPS, BATCH, INPUTS)
    arrays = {"xs": xs}
    initial = []
    for name in ("h0", "c0")[:states]:
        arrays[name] = draw(BATCH, HIDDEN, scale=0.5)
        initial.append(arrays[name])
    mask = None
    if lengths is not None:
        arrays["lengths"] = np.array(lengths, dtype=np.int64)
        mask = np.arange(STEPS)[None, :] < arrays["lengths"][:, None]

    xs_batch_first = xs.transpose(1, 0, 2)
    layer.build(xs_batch_first.shape)
    weights = []
    for variable in layer.weights:
        arrays[variable.name] = draw(*variable.shape, scale=0.5)
        weights.append(arrays[variable.name])
    layer.set_weights(weights)
    ys, *final = layer(xs_batch_first, initial_state=initial, mask=mask)

    arrays["ys"] = np.asarray(ys).transpose(1, 0, 2)
    for name, value in zip(("h_n", "c_n"), final, strict=False):
        arrays[name] = np.asarray(value)
    return arrays


def keras_vectors():
    """Every case of peers_keras.npz."""
    os.environ["KERAS_BACKEND"] = "jax"
    os.environ["JAX_ENABLE_X64"] = "1"
    os.environ["JAX_PLATFORMS"] = "cpu"
    import jax
    import jax.numpy as jnp
    import keras
    from keras import layers

    print("keras", keras.__version__, "jax", jax.__version__)
    keras.config.set_floatx("float64")
    # Keras' own tanh and sigmoid round float64 to float32 on this backend; JAX's do not.
    simple = {"activation": jnp.tanh, "return_sequences": True, "return_state": True}
    gated = {"recurrent_activation": jax.nn.sigmoid, **simple}
    cases = {
        "simple_rnn": (layers.SimpleRNN(HIDDEN, **simple), 1, None),
        "lstm": (layers.LSTM(HIDDEN, **gated), 2, None),
        "gru_reset_after": (layers.GRU(HIDDEN, reset_after=True, **gated), 1, None),
        "gru_reset_before": (layers.GRU(HIDDEN, reset_after=False, **gated), 1, None),
        "lstm_masked": (layers.LSTM(HIDDEN, zero_output_for_mask=True, **gated), 2, LENGTHS),
    }
    arrays = {}
    for number, (case, (layer, states, lengths)) in enumerate(cases.items()):
        made = keras_case(layer, make_draw(100 + number), states=states, lengths=lengths)
        arrays.update({f"{case}/{name}": value for name, value in made.items()})
    return arrays


def main():
    parser = argparse.ArgumentParser(description="Make the reference vectors of PyTorch and Keras.")
    parser.add_argument("peers", nargs="*", help="torch, keras, or both when none is given")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent)
    args = parser.parse_args()
    makers = {"torch": torch_vectors, "keras": keras_vectors}
    for peer in args.peers or makers:
        if peer not in makers:
            parser.error(f"unknown peer: {peer}")
        arrays = makers[peer]()
        for key, value in arrays.items():
            if value.dtype not in (np.float64, np.int64):
                raise TypeError(f"{peer} {key} is {value.dtype}")
        path = args.out / f"peers_{peer}.npz"
        np.savez_compressed(path, **arrays)
        print(f"{path.name}: {len(arrays)} arrays, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()

"""Make vectors.npz: outputs and gradients of cells of Keras, Equinox and Haiku.

    pip install keras equinox dm-haiku
    PYTHONPATH=. python tests/interop/make_vectors.py

The versions are in the file, under "versions". Weights are drawn, distinct and nonzero, in float64.
Keys are "library/case/NAME": xs, ys, cotangent, the arrays by their names in the table, and
gradient/NAME for each array and xs, of the loss sum(ys * cotangent). xs and ys are time first.
Those of PyTorch are in tests/reference/peers_torch.npz.
"""

import importlib.metadata
import os
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_ENABLE_X64"] = "1"

import jax.numpy as jnp
import numpy as np

from tests.interop.configurations import CONFIGURATIONS
from tests.interop.peers import B, D, H, T, draw

FILE = Path(__file__).with_name("vectors.npz")
CASES = (
    *(f"keras/{case}" for case in ("lstm", "lstm_no_bias", "gru", "gru_reset_before", "rnn")),
    *(f"equinox/{case}" for case in ("lstm", "gru", "gru_no_bias")),
    *(f"haiku/{case}" for case in ("lstm", "gru", "rnn", "rnn_single_bias")),
)
PACKAGES = ("keras", "equinox", "dm-haiku", "jax")


def by_name(library: str, tree: Any) -> dict[str, Any]:
    """The arrays of a cell, by their names in the table."""
    if library == "keras":
        return dict(zip(("kernel", "recurrent_kernel", "bias"), tree, strict=False))
    if library == "equinox":
        names = ("weight_ih", "weight_hh", "bias", "bias_n")
        return {n: getattr(tree, n) for n in names if getattr(tree, n, None) is not None}
    return {
        "/".join([*module.split("/")[1:], name]): array
        for module, entries in tree.items()
        for name, array in entries.items()
    }


def main() -> None:
    versions = [f"{package} {importlib.metadata.version(package)}" for package in PACKAGES]
    arrays: dict[str, Any] = {"versions": np.array(versions)}
    for case in CASES:
        library = case.partition("/")[0]
        peer = CONFIGURATIONS[case]("float64")
        xs = draw(jnp.zeros((T, B, D)), "float64", 1)
        cotangent = draw(jnp.zeros((T, B, H)), "float64", 2)
        ys, (gradients, of_xs) = peer.run(xs, cotangent)
        named = {"xs": xs, "ys": ys, "cotangent": cotangent, "gradient/xs": of_xs}
        named |= by_name(library, peer.arrays)
        named |= {f"gradient/{n}": leaf for n, leaf in by_name(library, gradients).items()}
        arrays |= {f"{case}/{name}": np.asarray(array) for name, array in named.items()}
    np.savez_compressed(FILE, **arrays)
    print(f"{FILE.name}: {len(arrays)} arrays, {FILE.stat().st_size} bytes; {', '.join(versions)}")


if __name__ == "__main__":
    main()

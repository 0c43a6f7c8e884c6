"""Writes the stored file of this version's format, which later versions must read.

    python -m tests.files.make_stored

Run it for a new format only, which gets a file of its own; files of earlier formats stay.
"""

from pathlib import Path

import jax
import jax.numpy as jnp

import lstm_jax as lj
from lstm_jax.files.contents import FORMAT

XS = jnp.linspace(-1.0, 1.0, 24).reshape(4, 3, 2)


def main() -> None:
    cell = lj.chain(
        lj.initialize(lj.lstm(3, peephole=True), b=lj.initializers.chrono(20.0)),
        lj.dropout(lj.gru(2), 0.25),
    )
    params = cell.init(jax.random.key(7), 2)
    _, ys = lj.unroll(cell, params, XS)
    path = Path(__file__).parent / f"format_{FORMAT}.safetensors"
    lj.save(path, (cell, params), notes={"ys": ys.tolist()})


if __name__ == "__main__":
    main()

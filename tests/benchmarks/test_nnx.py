import jax
import numpy as np

from benchmarks.studies import nnx as study


def test_all_contenders_compute_gradients_of_the_same_shapes_and_ours_the_same_values():
    calls = study.make_calls((2, 5, 3, 4))
    assert list(calls) == [
        study.UNROLL, "lj.unroll again", "Recurrent, time-major", "Recurrent, batch-first",
        "nnx.RNN",
    ]  # fmt: skip
    value, gradient = calls[study.UNROLL]()
    for name in list(calls)[1:-1]:
        found, by_module = calls[name]()
        np.testing.assert_allclose(found, value, rtol=1e-5)
        for a, b in zip(jax.tree.leaves(by_module), jax.tree.leaves(gradient), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)

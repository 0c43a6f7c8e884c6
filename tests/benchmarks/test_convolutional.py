import jax
import numpy as np
import pytest

from benchmarks.studies import convolutional as study


@pytest.mark.slow
def test_all_contenders_compute_gradients_and_our_methods_the_same():
    calls = study.make_calls((2, 3, 4, 5, 2))
    assert list(calls)[:3] == [study.UNROLL, "lj.unroll, scan", "flax.linen"]
    results = {name: call() for name, call in calls.items()}
    ours, scan = results[study.UNROLL], results["lj.unroll, scan"]
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(scan), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
    shapes = sorted(leaf.shape for leaf in jax.tree.leaves(ours[1][0]))
    # Flax has a bias in each of its two convolutions.
    theirs = sorted(leaf.shape for leaf in jax.tree.leaves(results["flax.linen"][1][0]))
    assert set(shapes) <= set(theirs)

"""What the tests can expect of the platform that they run on."""

import jax
import numpy as np
import pytest

ON_CPU = jax.default_backend() == "cpu"
# Of a GPU's compiled program beside its arrays: what its matrix products reserve to work in.
WORKSPACE_BYTES = 0 if ON_CPU else 2**27

cpu_alone = pytest.mark.skipif(not ON_CPU, reason="is about what is compiled for a CPU")


def require_same_bits(got, expected, tolerance=1e-5):
    """Equal bits are promised on a CPU only. A GPU may sum in another order in products of other
    sizes or in loops of other lengths."""
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        if ON_CPU:
            np.testing.assert_array_equal(a, b)
        else:
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)

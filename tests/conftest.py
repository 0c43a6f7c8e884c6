"""Before anything else is imported: several CPU devices, and enforced shape annotations."""

import os

# The tests compile thousands of tiny programs and run each a few times: three times less time
# in the compiler. Programs that a test starts as a process of its own run as a user's would.
_QUICK_COMPILE = (
    " --xla_backend_optimization_level=0"
    " --xla_cpu_parallel_codegen_split_count=1"
    " --xla_cpu_use_fusion_emitters=false"
)
_USERS_FLAGS = os.environ.get("XLA_FLAGS", "")
os.environ["XLA_FLAGS"] = _USERS_FLAGS + _QUICK_COMPILE

import jax
import pytest
from jaxtyping import install_import_hook

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", 4)
install_import_hook("lstm_jax", "beartype.beartype")
jax.devices()  # reads XLA_FLAGS now ...
os.environ["XLA_FLAGS"] = _USERS_FLAGS  # ... so that processes started later do not inherit them


@pytest.fixture
def x64():
    """float64 in this test alone: users run in float32, and so does every other test."""
    with jax.enable_x64(True):
        yield

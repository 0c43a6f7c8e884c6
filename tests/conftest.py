"""Set up before lstm_jax is imported: several CPU devices, quick compiles, enforced shape
annotations."""

import gc
import os
from pathlib import Path

import jax
import jaxtyping
import pytest

from tests import annotations

# The tests compile thousands of tiny programs and run each a few times: this takes up to three
# times less time in the compiler. Programs that a test starts as a process run as a user's would.
users_flags = os.environ.get("XLA_FLAGS", "")
flags = [users_flags, "--xla_backend_optimization_level=0"]
if jax.__version_info__ < (0, 11):  # later versions know no other emitters
    flags += ["--xla_cpu_parallel_codegen_split_count=1", "--xla_cpu_use_fusion_emitters=false"]
os.environ["XLA_FLAGS"] = " ".join(flags)
# JAX_PLATFORMS=cuda,cpu runs the tests on a GPU.
jax.config.update("jax_platforms", os.environ.get("JAX_PLATFORMS") or "cpu")
jax.config.update("jax_num_cpu_devices", 4)
# Tests that expect errors would spend a tenth of their time on shorter tracebacks.
jax.config.update("jax_traceback_filtering", "off")
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:  # else compiled programs are kept there
    os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"  # and never in the user's own cache
    jax.config.update("jax_enable_compilation_cache", False)
jax.devices()  # reads the flags now
os.environ["XLA_FLAGS"] = users_flags
annotations.enforce()
# Traced programs are many objects that stay, which the collector would look through all the time.
gc.set_threshold(50_000, 20, 20)


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items):
    """All tests of a file run on one worker, unless the file groups them otherwise, since they
    share fixtures and compiled programs."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.nodeid.split("::")[0]))


def pytest_configure(config):
    """Registers xdist's mark, which has no effect if xdist is not installed."""
    config.addinivalue_line("markers", "xdist_group(name): tests that go to one worker")


def pytest_runtest_setup(item):
    mark = item.get_closest_marker("devices")
    if mark is not None and len(jax.devices()) < mark.args[0]:
        pytest.skip(f"takes {mark.args[0]} devices, and there is {len(jax.devices())}")


@pytest.fixture
def x64():
    """float64 for this test only; all others run in float32, as users do."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def without_shape_annotations():
    """As users call the library: its own errors are tested, not those of the shape annotations."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


MANY = 20_000  # mappings of memory, of the 65,530 that Linux allows a process


def pytest_runtest_teardown(item, nextitem):
    """Drops the compiled programs of a case or a file after its last test, if there are many.

    A compiled program holds several mappings: a worker that keeps all programs dies in the
    compiler, after some four hundred laws.
    """
    if _compiles_with(item) != _compiles_with(nextitem) and _mappings() > MANY:
        jax.clear_caches()


def _mappings() -> int:
    maps = Path("/proc/self/maps")  # on Linux alone, as is the limit
    return maps.read_bytes().count(b"\n") if maps.exists() else 0


def _compiles_with(item) -> object:
    if item is None:
        return None
    return item.get_closest_marker("xdist_group").args

"""The tests on a GPU: which are run, in what order, and the record of their outcomes."""

import os
import sys
from collections.abc import Callable
from typing import Any

from benchmarks.gpu.processes import Unit

MAIN_CELLS = ("lstm", "gru", "rnn", "mgu", "min_gru", "lru", "attention", "linear_attention",
              "mlstm", "slstm")  # fmt: skip
FILES = ("tests/test_references.py", "tests/unrolling/test_unroll.py")
FURTHER_FILES = (
    "tests/cells/test_attention.py",
    "tests/train/test_steps.py",
    "tests/train/test_model.py",
    "tests/unrolling/test_truncated.py",
    "tests/train/test_optimizers.py",
    "tests/train/test_checkpoint.py",
    "tests/train/test_saved.py",
)
SMALL = (
    ("tests/test_references.py", "-k", "rnn_equals_flax"),
    ("tests/test_conformance.py", "-k", "test_law[rnn-the_contract", "-m", "slow or not slow"),
)
# Tests run their programs only a few times; autotuning would take longer than it saves.
QUICK_COMPILES = ("--xla_gpu_autotune_level=0", "--xla_gpu_enable_triton_gemm=false")
PYTEST_RAN = (0, 1)  # exit codes: all tests passed; some failed, as the records say


def pytest_arguments(small: bool) -> list[tuple[str, ...]]:
    """The arguments of each pytest process, the most important first."""
    if small:
        return list(SMALL)
    laws = [
        ("tests/test_conformance.py", "-k", f"test_law[{name}-", "-m", "slow or not slow")
        for name in MAIN_CELLS
    ]
    return [*((file,) for file in FILES), *laws, *((file,) for file in FURTHER_FILES)]


def make_units(given: list[tuple[str, ...]]) -> list[Unit]:
    base = (sys.executable, "-m", "pytest", "-q", "-p", "benchmarks.gpu.streaming")
    return [Unit(" ".join(one), (*base, *one, "--records"), PYTEST_RAN) for one in given]


def environment(on_gpu: bool) -> dict[str, str]:
    """Environment variables: products in full float32, and RAM allocated only as needed, since many
    processes share a GPU."""
    flags = [os.environ.get("XLA_FLAGS", ""), *(QUICK_COMPILES if on_gpu else ())]
    return {
        **os.environ,
        "JAX_PLATFORMS": "cuda,cpu" if on_gpu else "cpu",
        "JAX_DEFAULT_MATMUL_PRECISION": "highest",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "XLA_FLAGS": " ".join(flags).strip(),
    }


class Outcomes:
    """The outcomes of the tests so far; failures are printed in full at once."""

    def __init__(self, show: Callable[[str], None]):
        self._show = show
        self._collected: dict[str, None] = {}
        self._running: dict[str, str] = {}  # the current test of each unit
        self._tests: dict[str, dict[str, Any]] = {}

    def add(self, unit: str, record: dict[str, Any]) -> None:
        if "collected" in record:
            self._collected |= dict.fromkeys(record["collected"])
        elif "started" in record:
            self._running[unit] = record["started"]
        else:
            name = record["test"]
            before = self._tests.get(name)
            if before is None or before["outcome"] == "passed":  # a teardown may still fail
                self._tests[name] = {key: record[key] for key in ("outcome", "seconds", "text")}
            if self._running.get(unit) == name:
                del self._running[unit]
            if record["outcome"] == "failed":
                self._show(f"FAILED {name}\n{record['text']}\n")

    def failures(self) -> dict[str, str]:
        """The full tracebacks, by test."""
        return {
            name: test["text"] for name, test in self._tests.items() if test["outcome"] == "failed"
        }

    def summary(self) -> dict[str, Any]:
        """All outcomes as JSON, by the names of tests."""

        def names(outcome: str) -> list[str]:
            return [name for name, test in self._tests.items() if test["outcome"] == outcome]

        seen = {*self._tests, *self._running.values()}
        return {
            "ran": len(names("passed")) + len(names("failed")),
            "failed": names("failed"),
            "skipped": {name: self._tests[name]["text"] for name in names("skipped")},
            "running_at_the_end": list(self._running.values()),
            "not_run": [name for name in self._collected if name not in seen],
            "passed": {name: self._tests[name]["seconds"] for name in names("passed")},
        }

# The targets set up everything that they need, in a virtual environment in this folder.
# PYTHON chooses the interpreter (3.11 or later), from the PATH or from pyenv's versions:
# `make test PYTHON=python3.13`.
PYTHON ?= python3
VENV ?= .venv$(if $(filter-out python3,$(PYTHON)),-$(notdir $(PYTHON)))
RUN := $(VENV)/bin/python
READY := $(VENV)/ready

.PHONY: help compare suite benchmarks gpu test test-slow laws lint types docs clean

help:
	@echo "make compare    compares LSTM, GRU, tanh RNN and attention on two tasks, in three minutes"
	@echo "make suite      which cell remembers longest? all kinds of tasks, in half an hour"
	@echo "make benchmarks compares speed and RAM with other libraries (PyTorch if installed)"
	@echo "make gpu        tests and measurements on a GPU, with the installed JAX, in ten minutes"
	@echo "make test       runs the tests (test-slow: the slow ones; laws: every cell, every law)"
	@echo "make lint       checks formatting and style"
	@echo "make types      checks static types"
	@echo "make docs       builds the documentation in docs/_build/html"

compare: $(READY)
	$(RUN) -m experiments first_comparison

suite: $(READY)
	$(RUN) -m experiments suite

benchmarks: $(VENV)/ready-benchmarks
	$(RUN) -m benchmarks

# Sets up nothing, since pip would replace the JAX for the GPU by one for the CPU.
gpu:
	@for python in "$(PYTHON)" "$(RUN)" python3 python; do \
	  if "$$python" -c 'import jax; jax.devices("gpu")' >/dev/null 2>&1; then \
	    exec "$$python" -m benchmarks.gpu $(OPTIONS); \
	  fi; \
	done; \
	echo "PYTHON: expected one whose JAX sees a GPU, got $(PYTHON), $(RUN), python3 and python," \
	  "which do not; python -m benchmarks.gpu --small rehearses on a CPU" >&2; exit 1

test: $(READY)
	$(RUN) -m pytest -n auto --dist loadgroup $(TESTS)

test-slow: $(READY)
	$(RUN) -m pytest -n auto --dist loadgroup -m slow $(TESTS)

laws: $(READY)
	$(RUN) -m pytest -n auto --dist loadgroup -m "slow or not slow" \
	  tests/test_conformance.py tests/test_references.py

lint: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(READY)
	$(VENV)/bin/mypy

# Warnings are errors: a link that leads nowhere, a name that is not there.
docs: $(VENV)/ready-docs
	$(RUN) -m sphinx --builder html --fail-on-warning --keep-going --quiet docs docs/_build/html
	@echo "docs/_build/html/index.html"

$(READY): pyproject.toml
	@set -e; for python in "$(PYTHON)" \
	    "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/$(patsubst python%,%,$(notdir $(PYTHON)))*/bin/python; do \
	  if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    test -x $(RUN) || "$$python" -m venv $(VENV); \
	    $(RUN) -m pip install --quiet --upgrade pip; \
	    $(RUN) -m pip install --quiet --editable '.[dev]'; \
	    touch $(READY); exit 0; \
	  fi; \
	done; \
	echo "PYTHON: expected Python 3.11 or later, got $(PYTHON), which is missing or older" >&2; exit 1

$(VENV)/ready-benchmarks: $(READY)
	$(RUN) -m pip install --quiet --editable '.[benchmarks]'
	touch $@

$(VENV)/ready-docs: $(READY)
	$(RUN) -m pip install --quiet --editable '.[docs]'
	touch $@

clean:
	rm -rf .venv .venv-* docs/_build docs/notebooks .mypy_cache .pytest_cache .ruff_cache .hypothesis

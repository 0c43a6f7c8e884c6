# `make compare` and `make test` set everything up by themselves, in a virtual environment here.
# PYTHON chooses the interpreter (3.11 or later), found on the PATH or among pyenv's versions:
# `make test PYTHON=python3.13`.
PYTHON ?= python3
VENV ?= .venv$(if $(filter-out python3,$(PYTHON)),-$(notdir $(PYTHON)))
RUN := $(VENV)/bin/python
READY := $(VENV)/ready

.PHONY: help compare suite benchmarks gpu test test-slow laws lint types docs clean

help:
	@echo "make compare    which cell remembers: LSTM, GRU, tanh RNN, attention; in two minutes"
	@echo "make suite      which cell remembers longest: a fair slice of every task, in half an hour"
	@echo "make benchmarks speed and memory beside the peers; PyTorch too where it is installed"
	@echo "make gpu        tests and measurements on a GPU, in ten minutes, with the JAX that is here"
	@echo "make test       the tests (make laws: every cell through every law, which takes longer)"
	@echo "make lint types formatting and style; static types"
	@echo "make docs       the documentation, into docs/_build/html"

compare: $(READY)
	$(RUN) -m experiments first_comparison

suite: $(READY)
	$(RUN) -m experiments suite

benchmarks: $(VENV)/ready-benchmarks
	$(RUN) -m benchmarks

# Nothing is set up: pip would put a JAX for the CPU in the place of the one that knows the GPU.
gpu:
	@for python in "$(PYTHON)" "$(RUN)" python3 python; do \
	  if "$$python" -c 'import jax; jax.devices("gpu")' >/dev/null 2>&1; then \
	    exec "$$python" -m benchmarks.gpu $(OPTIONS); \
	  fi; \
	done; \
	echo "PYTHON: expected one whose JAX sees a GPU, got $(PYTHON), $(RUN), python3, python, which" \
	  "do not; python -m benchmarks.gpu --small rehearses on a CPU" >&2; exit 1

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
	echo "PYTHON: got $(PYTHON), which is not here or is older than 3.11" >&2; exit 1

$(VENV)/ready-benchmarks: $(READY)
	$(RUN) -m pip install --quiet --editable '.[benchmarks]'
	touch $@

$(VENV)/ready-docs: $(READY)
	$(RUN) -m pip install --quiet --editable '.[docs]'
	touch $@

clean:
	rm -rf .venv .venv-* docs/_build docs/notebooks .mypy_cache .pytest_cache .ruff_cache .hypothesis

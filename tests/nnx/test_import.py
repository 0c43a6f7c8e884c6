"""Flax is imported with ``lj.nnx``, and not before."""

import subprocess
import sys

import pytest

import lstm_jax as lj

USES = {
    "import": "",
    "cells": "lj.unroll(lj.lstm(2), lj.lstm(2).init(jax.random.key(0), 1), jnp.ones((3, 1)))",
    "train": "lj.train.fit, lj.tasks.make('adding')",
}


@pytest.mark.parametrize("use", USES)
def test_flax_is_not_touched_before(use):
    code = f"""
import sys, jax, jax.numpy as jnp
import lstm_jax as lj
{USES[use]}
assert "flax" not in sys.modules, "flax was imported"
lj.nnx.Recurrent
assert "flax" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_is_an_error():
    with pytest.raises(AttributeError, match="module 'lstm_jax' has no attribute 'nnxx'"):
        lj.nnxx  # noqa: B018

"""Keras runs on JAX in these tests, if nothing else is set."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

"""The version, apart from the package so that a build reads it without importing jax."""

__version__ = "0.2.0"

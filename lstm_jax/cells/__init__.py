"""The equations of all cells, one file per family, and the cells by name (``registry``)."""

from lstm_jax.cells.lstm import GREFF_VARIANTS
from lstm_jax.cells.registry import make, parse, registry

__all__ = ["GREFF_VARIANTS", "make", "parse", "registry"]

"""Figures of what ``lj.insight`` returns, drawn by Matplotlib.

Every function draws on the axes that it is given, or on a new figure, and returns them, so that a
caller can style and save them. Matplotlib is imported on the first call; it comes with
``pip install "lstm_jax[experiments]"``.
"""

from lstm_jax.insight.plot.attributions import attribution_series, attribution_text
from lstm_jax.insight.plot.curves import gradient_norms, memory_curve
from lstm_jax.insight.plot.heat_maps import trace
from lstm_jax.insight.plot.points import fixed_points

__all__ = [
    "attribution_series",
    "attribution_text",
    "fixed_points",
    "gradient_norms",
    "memory_curve",
    "trace",
]

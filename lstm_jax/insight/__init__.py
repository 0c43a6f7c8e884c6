"""Look inside: what a recurrent net keeps, what it drops, and where its gradient dies.

``lj.trace`` runs a cell as ``lj.unroll`` does and keeps every gate and state. What stands here
reads cells, params and traces.
"""

from lstm_jax.insight import plot
from lstm_jax.insight.diagram import Diagram, diagram
from lstm_jax.insight.explorer import Explorer, explorer
from lstm_jax.insight.fixed_points import fixed_points, starts_from
from lstm_jax.insight.gradient_flow import GradientFlow, state_gradients
from lstm_jax.insight.jacobian_norms import JacobianNorms, jacobian_norms
from lstm_jax.insight.lyapunov import LyapunovSpectrum, lyapunov_exponents
from lstm_jax.insight.points import FixedPoints, Points
from lstm_jax.insight.trace import trace
from lstm_jax.insight.traces import Trace

__all__ = [
    "Diagram",
    "Explorer",
    "FixedPoints",
    "GradientFlow",
    "JacobianNorms",
    "LyapunovSpectrum",
    "Points",
    "Trace",
    "diagram",
    "explorer",
    "fixed_points",
    "jacobian_norms",
    "lyapunov_exponents",
    "plot",
    "starts_from",
    "state_gradients",
    "trace",
]

"""Look inside: what a recurrent net keeps, what it drops, and where its gradient dies.

``lj.trace`` runs a cell as ``lj.unroll`` does and keeps every gate and state. What stands here
reads cells, params and traces.
"""

from lstm_jax.insight import plot
from lstm_jax.insight.attribution import (
    Attribution,
    gradient_times_input,
    integrated_gradients,
    occlusion,
    relevance,
)
from lstm_jax.insight.diagram import Diagram, diagram
from lstm_jax.insight.explorer import Explorer, explorer
from lstm_jax.insight.fixed_points import fixed_points, starts_from
from lstm_jax.insight.gradient_flow import GradientFlow, state_gradients
from lstm_jax.insight.jacobian_norms import JacobianNorms, jacobian_norms
from lstm_jax.insight.lyapunov import LyapunovSpectrum, lyapunov_exponents
from lstm_jax.insight.memory import MemoryCurve, memory_curve, memory_curve_of, time_scales
from lstm_jax.insight.points import FixedPoints, Points
from lstm_jax.insight.probes import Probe, probe
from lstm_jax.insight.search import Moment, Selection, active_units, matching_moments
from lstm_jax.insight.trace import trace
from lstm_jax.insight.traces import Trace

__all__ = [
    "Attribution",
    "Diagram",
    "Explorer",
    "FixedPoints",
    "GradientFlow",
    "JacobianNorms",
    "LyapunovSpectrum",
    "MemoryCurve",
    "Moment",
    "Points",
    "Probe",
    "Selection",
    "Trace",
    "active_units",
    "diagram",
    "explorer",
    "fixed_points",
    "gradient_times_input",
    "integrated_gradients",
    "jacobian_norms",
    "lyapunov_exponents",
    "matching_moments",
    "memory_curve",
    "memory_curve_of",
    "occlusion",
    "plot",
    "probe",
    "relevance",
    "starts_from",
    "state_gradients",
    "time_scales",
    "trace",
]

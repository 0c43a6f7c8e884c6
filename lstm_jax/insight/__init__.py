"""Look inside: what a recurrent net keeps, what it drops, and where its gradient dies.

``lj.trace`` runs a cell as ``lj.unroll`` does and keeps every gate and state. What stands here
reads cells, params and traces.
"""

from lstm_jax.insight.diagram import Diagram, diagram
from lstm_jax.insight.explorer import Explorer, explorer
from lstm_jax.insight.trace import trace
from lstm_jax.insight.traces import Trace

__all__ = [
    "Diagram",
    "Explorer",
    "Trace",
    "diagram",
    "explorer",
    "trace",
]

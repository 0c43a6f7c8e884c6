"""How time is traversed: one file per method.

Each has ``ineligible(cell)``, why it cannot run a cell, or None; ``traverse(traversal)``, which
gives ``(state, ys)``; and ``why(traversal)``, which says in words what it decides.
"""

from typing import Any

from lstm_jax.unrolling.methods import associative, deferred, parallel, scan

# In the order in which "auto" tries them: the first that is eligible runs.
METHODS: dict[str, Any] = {
    "deferred": deferred,
    "associative": associative,
    "parallel": parallel,
    "scan": scan,
}

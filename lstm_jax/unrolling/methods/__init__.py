"""The methods of traversing time, one file per method.

Each has ``ineligible(cell)``, the reason why it cannot run a cell, or None;
``traverse(traversal) -> (state, ys)``; and ``why(traversal)``, its decisions in words.
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

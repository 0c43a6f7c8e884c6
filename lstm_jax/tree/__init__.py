"""The LSTM on trees of any shapes, level by level over a batch of them.

    trees = [lj.tree.from_brackets("(3 (2 It) (4 (2 's) (4 lovely)))")]
    forest = lj.tree.pack(trees)
    cell = lj.tree.child_sum_lstm(64)
    params = cell.init(jax.random.key(0), input_size)
    state, ys = lj.tree.unroll(cell, params, forest, forest.fill(features))

``pack`` makes a ``Forest``, in arrays whose shapes depend on a bucket of sizes alone. ``unroll``
goes from the leaves to the roots, ``top_down`` back with any cell of sequences.
"""

from lstm_jax.tree.brackets import from_brackets
from lstm_jax.tree.cells import child_sum_lstm, nary_lstm
from lstm_jax.tree.forest import Forest, Tree, pack
from lstm_jax.tree.running import top_down, unroll

__all__ = [
    "Forest",
    "Tree",
    "child_sum_lstm",
    "from_brackets",
    "nary_lstm",
    "pack",
    "top_down",
    "unroll",
]

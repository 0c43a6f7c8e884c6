"""The LSTM and the GRU on graphs, in topological order or by rounds of messages.

    graphs = lj.graph.pack([lj.graph.Graph(3, [(0, 1), (0, 2), (1, 2)])])
    cell = lj.graph.lstm(64)
    params = cell.init(jax.random.key(0), input_size)
    state, ys = lj.graph.unroll(cell, params, graphs, graphs.fill([features]))

``pack`` makes a batch of graphs of any shapes, in arrays whose shapes depend on a bucket of sizes
alone. ``unroll`` runs acyclic graphs, each node after its predecessors; ``propagate`` runs any
graphs, for a number of rounds.
"""

from lstm_jax.graph.cells import gru, lstm
from lstm_jax.graph.contract import NodeCell, Received
from lstm_jax.graph.levels import Levels
from lstm_jax.graph.packing import Graph, Graphs, pack
from lstm_jax.graph.running import propagate, unroll

__all__ = [
    "Graph",
    "Graphs",
    "Levels",
    "NodeCell",
    "Received",
    "gru",
    "lstm",
    "pack",
    "propagate",
    "unroll",
]

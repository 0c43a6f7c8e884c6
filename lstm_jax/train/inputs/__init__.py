"""Inputs: how a network reads its data, from rows of numbers or ids to vectors for the cell.

inputs = train.inputs.embedding(10_000, 200)
model = train.network(lj.lstm(200), inputs, train.heads.classification(10_000), reads="every")
"""

from lstm_jax.train.inputs.composed import convolution, mixed, summary
from lstm_jax.train.inputs.contract import Inputs, Vectors
from lstm_jax.train.inputs.simple import embedding, numbers, one_hot

__all__ = [
    "Inputs",
    "Vectors",
    "convolution",
    "embedding",
    "mixed",
    "numbers",
    "one_hot",
    "summary",
]

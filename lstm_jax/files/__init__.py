"""One file for a trained model: its weights, and what builds the cell or model anew.

lj.save("model.safetensors", (cell, params))
cell, params = lj.load("model.safetensors")
"""

from lstm_jax.files.card import Card
from lstm_jax.files.contents import FileError
from lstm_jax.files.saving import Information, load, read_information, save

__all__ = ["Card", "FileError", "Information", "load", "read_information", "save"]

"""Tests and measurements on a GPU, in ten minutes (``python -m benchmarks.gpu``)."""

"""A first hour on a GPU, in ten minutes: tests and measurements (``python -m benchmarks.gpu``)."""

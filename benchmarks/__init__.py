"""Speed and memory of lstm_jax beside its peers: ``python -m benchmarks``."""

"""Speed and RAM of lstm_jax compared with its peers: ``python -m benchmarks``."""

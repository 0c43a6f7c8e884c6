"""Finite data: rows of any length, long streams, and the batches of an epoch."""

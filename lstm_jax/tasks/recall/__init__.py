"""Recall tasks: a value is asked for by its key."""

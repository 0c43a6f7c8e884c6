"""Recall of values by their keys."""

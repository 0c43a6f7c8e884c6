"""Tasks of recall: a value is asked for by its key."""

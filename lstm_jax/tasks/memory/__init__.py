"""Tasks that measure how long a cell remembers."""

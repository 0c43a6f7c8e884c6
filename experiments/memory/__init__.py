"""How long a cell remembers."""

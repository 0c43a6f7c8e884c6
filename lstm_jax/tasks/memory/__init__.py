"""Tasks that ask how long a cell remembers."""

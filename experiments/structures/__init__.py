"""Trees and graphs."""

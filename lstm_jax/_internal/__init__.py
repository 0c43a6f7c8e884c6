"""Private helpers: checks and errors, names with options as text, dtypes, devices."""

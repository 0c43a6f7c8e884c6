"""What trained nets keep, and how they come to their answers."""

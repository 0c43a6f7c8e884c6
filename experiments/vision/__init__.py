"""Films: frames to come, and what moves in them."""

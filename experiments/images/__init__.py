"""Images, pixel by pixel or row by row."""

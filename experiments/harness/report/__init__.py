"""Tables, figures and pictures of what was run."""

"""Tables, figures and pictures of results."""

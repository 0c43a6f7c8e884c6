"""Results of the papers, by their own protocols."""

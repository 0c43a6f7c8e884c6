"""Results of earlier papers, with the papers' own protocols."""

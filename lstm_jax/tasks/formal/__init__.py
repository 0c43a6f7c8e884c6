"""Tasks of formal languages: counting, brackets, grammars, groups."""

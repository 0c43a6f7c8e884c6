"""How ``lj.insight.diagram`` draws: the graph of a cell's equations, its layouts, and SVG."""

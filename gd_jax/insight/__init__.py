"""WHY: gradients, curvature and the cost surface around a network."""

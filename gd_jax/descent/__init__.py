"""HOW one descends: optimizers, batches, updates, lanes."""

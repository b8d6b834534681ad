"""What `benchmark` times, measures and says."""

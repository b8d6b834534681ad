"""What `inspect_run` sees: the tracks of a run, and its views."""

"""WHERE it runs, and what it keeps: data, run directories, devices."""

"""The tournament of `compare`: lanes, units, tables."""

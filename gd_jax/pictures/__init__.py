"""SEEN: pictures and pages, drawn from plain data."""

"""WHAT is minimised: networks, costs, textbook surfaces."""

"""Gradient descent as textbooks teach it, compared as a referee would."""

"""The page of `textbook`: its chapters and the proof of every claim."""

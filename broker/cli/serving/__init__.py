"""`serve`: one process or several workers, what they may open, and the signals that they take."""

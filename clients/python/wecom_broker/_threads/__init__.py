"""The parts of the client for threads."""

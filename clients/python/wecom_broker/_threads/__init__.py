"""What the client for threads is made of."""

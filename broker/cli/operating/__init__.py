"""What an operator asks of a running broker, and does to it."""

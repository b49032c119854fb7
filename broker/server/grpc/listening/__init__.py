"""Where callers connect, and what a connection proves about them: addresses, socket files, TLS."""

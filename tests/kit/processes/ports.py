"""Ports for servers that a test starts."""

import socket


def free_port() -> int:
    """Return a port that is free on loopback now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])

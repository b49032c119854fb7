"""How calls and streams reach the broker."""

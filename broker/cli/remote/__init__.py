"""The commands that call a running broker."""

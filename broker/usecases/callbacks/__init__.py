"""Callbacks from WeCom: decoded, recorded once, and turned into events."""

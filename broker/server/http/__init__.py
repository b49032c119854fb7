"""The HTTP server: WeCom's callbacks, health and metrics."""

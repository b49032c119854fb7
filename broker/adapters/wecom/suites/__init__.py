"""WeCom's endpoints for suites and their providers."""

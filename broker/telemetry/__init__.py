"""What operators see: structured logs, Prometheus metrics, and the observer that writes both."""

"""The composition root: the only place that names concrete adapters, and the order of start and stop."""

"""The doors: thin, each request parsed, passed to one use case, and answered."""

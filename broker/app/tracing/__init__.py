"""Tracing as the configuration says: requests in spans, or not one step more for any call."""

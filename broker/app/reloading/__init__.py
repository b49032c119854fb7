"""The configuration is read anew: when, and what becomes of it."""

"""Secrets of the configuration: where they are read, and what they must look like."""

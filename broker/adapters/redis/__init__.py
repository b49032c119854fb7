"""The shared store and event log of a fleet, in Redis."""

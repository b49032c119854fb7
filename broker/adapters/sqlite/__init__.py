"""The embedded store and event log of one process, in SQLite."""

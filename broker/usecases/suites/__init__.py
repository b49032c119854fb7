"""Suites: their tickets, the corps that authorise them, and the codes that say so."""

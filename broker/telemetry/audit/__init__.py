"""The audit trail in a file, on stdout or in the log."""

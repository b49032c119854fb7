"""The console: one page for operators, on a listener of its own. Read-only, but for *try again*."""

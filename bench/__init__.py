"""What is fast, measured as a ratio within one run. `make bench` runs all of it."""

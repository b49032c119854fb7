"""One replica: its clocks, and what it can do."""

"""What protects the store: its seal keys, where they come from, and how they change."""

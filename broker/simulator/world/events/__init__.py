"""The events of this world, and where they go."""

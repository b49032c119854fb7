"""The events of this world, and where they are sent."""

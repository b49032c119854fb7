"""What a reload takes over, and which files it depends on."""

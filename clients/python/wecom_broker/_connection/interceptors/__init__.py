"""What each call of a channel carries besides its request."""

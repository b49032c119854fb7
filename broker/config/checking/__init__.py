"""What is wrong with a configuration, or hardly meant, in words that name the key."""

"""Who logs in, and by which names others know them."""

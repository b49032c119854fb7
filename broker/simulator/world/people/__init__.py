"""The people who log in, and the ids by which other corps know them."""

"""The broker's nouns, its errors, and the ports to the world. Imports the standard library only."""

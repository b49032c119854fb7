"""The broker's values, errors and ports. Imports the standard library only."""

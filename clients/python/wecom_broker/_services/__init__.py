"""The methods of the client, one module for each service of the broker."""

"""The configuration: read from TOML, checked as a whole, and mapped to the domain."""

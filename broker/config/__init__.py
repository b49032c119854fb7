"""The configuration: read from TOML, checked key by key and in combination, and mapped to the domain."""

"""What keeps a broker from starting."""


class CannotStart(Exception):
    """The broker cannot start; the message begins with the key of the configuration to look at."""


class StoreTaken(CannotStart):
    """Another process uses the embedded store: probably a broker of the same configuration."""

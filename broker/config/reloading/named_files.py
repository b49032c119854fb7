"""The files that a configuration consists of: its own, and those that it names."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from broker.config.text import NotToml, NotUtf8, read_toml

PATHS = frozenset({"certificate", "private_key", "client_ca", "ca"})
"""The keys, of any table, that are paths of files to read."""


def named_files(path: Path) -> set[Path]:
    """Return the file and what it names; the file alone while it cannot be read."""
    try:
        # A pipe can be read once, and that is for who takes the configuration from it.
        given = read_toml(path) if path.is_file() else {}
        # `audit.file` is written, and not read.
        return {path, *_named_in({name: table for name, table in given.items() if name != "audit"})}
    except (OSError, NotUtf8, NotToml, RecursionError):  # dotted keys nest more deeply than brackets may
        return {path}


def _named_in(given: object) -> Iterator[Path]:
    if isinstance(given, Mapping):
        for key, value in given.items():
            is_secret = key == "file" and len(given) == 1
            if isinstance(value, str) and (key in PATHS or is_secret) and "\0" not in value:
                yield Path(value)
            else:
                yield from _named_in(value)
    elif isinstance(given, list):
        for value in given:
            yield from _named_in(value)

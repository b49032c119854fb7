"""The Lua scripts, each atomic in Redis; their files document what they take and return."""

from importlib.resources import files

FOLDER = files("broker.adapters.redis") / "scripts"
GROUP = ("index", "log", "corps", "members", "upkeep")
"""The parts that precede each script of a group, in this order; all parts of a script share its locals."""


_NAMES: dict[str, str] = {}
"""Of the scripts that were read, by text."""


def store_script(name: str) -> str:
    """Return a script of records, leases or counters."""
    return _named(name, _read(f"{name}.lua"))


def fenced_script(name: str) -> str:
    """Return a script that reads the fencing number of a record."""
    return _named(name, "\n".join([_read("fence.lua"), _read(f"{name}.lua")]))


def log_script(name: str) -> str:
    """Return a script of the event log that concerns no single group."""
    return _named(f"events/{name}", _read(f"events/{name}.lua"))


def group_script(name: str) -> str:
    """Return a script of the event log that concerns one group."""
    parts = [*(_read(f"events/group/{part}.lua") for part in GROUP), _read(f"events/{name}.lua")]
    return _named(f"events/{name}", "\n".join(parts))


def name_of(text: str) -> str:
    """Return what a script is called: its file's name without the ending."""
    return _NAMES.get(text, "script")


def _named(name: str, text: str) -> str:
    _NAMES[text] = name
    return text


def _read(path: str) -> str:
    return (FOLDER / path).read_text(encoding="utf-8")

"""The Lua scripts, each atomic in Redis; their files document what they take and return."""

from importlib.resources import files

FOLDER = files("broker.adapters.redis") / "scripts"
GROUP = ("index", "log", "corps", "members", "upkeep")
"""The parts that precede each script of a group, in this order; all parts of a script share its locals."""


def store_script(name: str) -> str:
    """Return a script of records, leases or counters."""
    return _read(f"{name}.lua")


def fenced_script(name: str) -> str:
    """Return a script that reads the fencing number of a record."""
    return "\n".join([_read("fence.lua"), _read(f"{name}.lua")])


def log_script(name: str) -> str:
    """Return a script of the event log that concerns no single group."""
    return _read(f"events/{name}.lua")


def group_script(name: str) -> str:
    """Return a script of the event log that concerns one group."""
    return "\n".join([*(_read(f"events/group/{part}.lua") for part in GROUP), _read(f"events/{name}.lua")])


def _read(path: str) -> str:
    return (FOLDER / path).read_text(encoding="utf-8")

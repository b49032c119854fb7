"""The Lua scripts, each of them one step inside Redis; their files say what they take and return."""

from importlib.resources import files

FOLDER = files("broker.adapters.redis") / "scripts"
GROUP = ("index", "log", "corps", "members", "upkeep")
"""What stands before each script of a group, in this order: what a script is made of shares its locals."""


def store_script(name: str) -> str:
    """Return a script of records, leases or counters."""
    return _read(f"{name}.lua")


def fenced_script(name: str) -> str:
    """Return a script that reads the fencing number of a record."""
    return "\n".join([_read("fence.lua"), _read(f"{name}.lua")])


def log_script(name: str) -> str:
    """Return a script of the event log that is about no group."""
    return _read(f"events/{name}.lua")


def group_script(name: str) -> str:
    """Return a script of the event log that is about one group."""
    return "\n".join([*(_read(f"events/group/{part}.lua") for part in GROUP), _read(f"events/{name}.lua")])


def _read(path: str) -> str:
    return (FOLDER / path).read_text(encoding="utf-8")

"""Which keys a running broker takes over at a reload, and which only a restart."""

from collections.abc import Iterator

from broker.config.listening.most_streams import most_streams
from broker.config.schema import Config, StoreTable, WecomTable
from broker.config.table import Table

LIVE = frozenset(
    {
        "providers",
        "apps",
        "callers",
        "store.password",
        "store.sentinel_user",
        "store.sentinel_password",
        "store.seal_keys",
        "log.level",
    }
)
"""Tables and keys that a reload replaces. Whatever is not named here needs a restart."""
LIMITS = "callers.limits"
"""Live too, but for how much one connection carries."""


def keys(config: Config) -> Iterator[tuple[str, object]]:
    """Yield each key of the file with its value; of the tables of apps and the like, the table itself."""
    for name in Config.model_fields:
        table = getattr(config, name)
        if isinstance(table, Table):
            yield from ((f"{name}.{key}", _value(table, key)) for key in type(table).model_fields)
        else:
            yield name, table


def restart_needed(running: Config, new: Config) -> list[str]:
    """Return the keys whose change a reload cannot apply, compared with those of the start."""
    present = dict(keys(running))
    waiting = [key for key, value in keys(new) if key not in LIVE and value != present[key]]
    # A caller may have more at once from now on, and its connection carries no more: the rest waits unheard.
    return [*waiting, LIMITS] if most_streams(new) > most_streams(running) else waiting


def _value(table: Table, key: str) -> object:
    # New connections to the store and to the proxy log in with what is in the new address.
    match table, key:
        case StoreTable(), "url":
            return table.place
        case WecomTable(), "proxy":
            return table.proxy_place
        case _:
            return getattr(table, key)

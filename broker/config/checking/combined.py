"""The mistakes of a configuration that only show when several keys are seen together."""

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from typing import Any

from broker.config.apps import SelfBuiltTable, SuiteTable
from broker.config.checking.wording import did_you_mean
from broker.config.listening.addresses import clashing_addresses, exposed_addresses
from broker.config.listening.checks import listener_mistakes, tls_tables
from broker.config.schema import Config, StoreTable
from broker.config.store_url import login_in
from broker.domain.stores.redis_address import Topology


def combined_mistakes(config: Config, broken: AbstractSet[int | str], *, insecure: bool) -> list[str]:
    """Return one line for each, the key first.

    `broken` names the tables that have mistakes of their own. The configuration has their defaults instead,
    about which nothing is reported.
    """
    server, store, callers = config.server, config.store, config.callers
    problems = [*exposed_addresses(config, broken)] if not insecure else []
    if server.workers > 1 and store.is_embedded and "store" not in broken:
        problems.append("server.workers: the embedded store serves one process; use Redis for more workers")
    if "server" not in broken:
        problems += clashing_addresses(config)
    problems += listener_mistakes(config, broken)
    if not store.is_embedded and not store.seal_keys:
        problems.append("store.seal_keys: is required with Redis; `wecom-broker keys new` makes a key")
    problems += _misplaced_keys(store)
    seal_keys = [(f"store.seal_keys[{position}]", key) for position, key in enumerate(store.seal_keys)]
    problems += _repeated(seal_keys, "id")
    problems += _same_seal_keys(store)
    problems += _repeated(_placed(config, "apps", "providers"), "name")
    problems += _repeated(_placed(config, "apps"), "suite_id")
    problems += _repeated(_placed(config, "providers"), "corp_id")
    for key in ("name", "identity", "token_sha256"):
        problems += _repeated(_placed(config, "callers"), key)
    if not config.apps and not config.providers and not broken & {"apps", "providers"}:
        problems.append("apps: at least one app is required")
    problems += _unshareable(config)
    if "providers" not in broken:
        problems += _unknown_providers(config)
    problems += _same_callbacks(config)
    has_names = any(caller.identity for caller in callers)
    if has_names and not broken & {"server", "console"}:
        problems += _unasked_names(config)
    return problems


def _unasked_names(config: Config) -> Iterator[str]:
    """Yield what is missing where no listener asks for certificates, and callers have identities."""
    if not any(tls.client_ca for _, tls in tls_tables(config)):
        yield "server.tls.client_ca: is required where a caller has an identity"


def _misplaced_keys(store: StoreTable) -> Iterator[str]:
    """Yield what is for another kind of store, or contradicts the address."""
    if store.replicas_acknowledge and store.is_embedded:
        yield "store.replicas_acknowledge: is for Redis alone; the embedded store has no replicas"
    if store.password and store.is_embedded:
        yield "store.password: is for Redis alone"
    elif store.password and login_in(store.url).password:
        yield "store.password: store.url has a password too; leave one of them out"
    if store.sentinel_password and (store.is_embedded or store.address.topology is not Topology.SENTINEL):
        yield "store.sentinel_password: is for redis+sentinel:// alone"
    elif store.sentinel_user and not store.sentinel_password:
        yield "store.sentinel_password: is required with sentinel_user"


def _same_seal_keys(store: StoreTable) -> Iterator[str]:
    """Yield the keys that stand there under another id already: to change the id is not to change the key."""
    first_of: dict[bytes, tuple[int, str]] = {}
    for position, key in enumerate(store.seal_keys):
        first, key_id = first_of.setdefault(key.key_bytes(), (position, key.id))
        if key.id != key_id:
            yield f"store.seal_keys[{position}].key: is the same key as store.seal_keys[{first}] ({key_id!r})"


def _unshareable(config: Config) -> Iterator[str]:
    for position, app in enumerate(config.apps):
        if not isinstance(app, SelfBuiltTable) or app.agent_id is not None:
            continue
        if app.share_kinds and "share_kinds" in app.model_fields_set:
            yield f"apps[{position}].share_kinds: needs agent_id; an app without one is shared with nobody"


def _unknown_providers(config: Config) -> Iterator[str]:
    names = {provider.name for provider in config.providers}
    for position, app in enumerate(config.apps):
        if isinstance(app, SuiteTable) and app.provider not in names:
            guess = did_you_mean(app.provider, names)
            yield f"apps[{position}].provider: no provider {app.provider!r} is in [[providers]]{guess}"


def _same_callbacks(config: Config) -> Iterator[str]:
    """Yield the callbacks that another one's keys open: an event of one would pass as the other's."""
    seen: dict[tuple[object, object], tuple[str, str, str]] = {}
    for place, owner in _placed(config, "apps", "providers"):
        for key, callback in owner.callbacks().items():
            here = (place, owner.name, key)
            first, name, its_key = seen.setdefault((callback.token, callback.aes_key), here)
            # WeCom's console fills a client's callback in from the template's (wecom-api B15).
            is_filled_in = first == place and (its_key, key) == ("callback", "corp_callback")
            if (first, its_key) == (place, key) or is_filled_in:
                continue
            whose = name if first != place else its_key
            yield f"{place}.{key}: has the token and aes_key of {whose}; each app has its own"


def _placed(config: Config, *tables: str) -> Iterator[tuple[str, Any]]:
    """Yield the entries of the tables, each with its place in the file."""
    for table in tables:
        for position, entry in enumerate(getattr(config, table)):
            yield f"{table}[{position}]", entry


def _repeated(entries: Iterable[tuple[str, object]], key: str) -> Iterator[str]:
    seen = set()
    for place, entry in entries:
        if (value := getattr(entry, key, None)) is None:
            continue
        if value in seen:
            yield f"{place}.{key}: {value} is used already"
        seen.add(value)

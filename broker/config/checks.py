"""The mistakes of a configuration that only show when several keys are seen together."""

import ipaddress
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet

from broker.config.schema import Config


def combined_mistakes(config: Config, broken: AbstractSet[int | str], *, insecure: bool) -> list[str]:
    """Return one line for each, the key first.

    `broken` names the tables that have mistakes of their own. The configuration has their defaults instead,
    about which nothing is reported.
    """
    server, store, callers = config.server, config.store, config.callers
    problems = [*_address_mistakes(config, broken)] if not insecure else []
    if server.workers > 1:
        if store.is_embedded and "store" not in broken:
            problems.append(
                "server.workers: the embedded store serves one process; use Redis for more workers"
            )
        problems += [
            f"server.grpc[{position}]: a socket file serves one process; use host:port with more workers"
            for position, address in enumerate(server.grpc)
            if address.startswith("unix:")
        ]
    if not store.is_embedded and not store.seal_keys:
        problems.append("store.seal_keys: is required with Redis; `wecom-broker keys new` makes a key")
    problems += _repeated("store.seal_keys", "id", store.seal_keys)
    problems += _repeated("apps", "name", config.apps)
    for key in ("name", "identity", "token_sha256"):
        problems += _repeated("callers", key, callers)
    if not config.apps and "apps" not in broken:
        problems.append("apps: at least one app is required")
    problems += [
        f"apps[{position}].share_kinds: needs agent_id; an app without one is shared with nobody"
        for position, app in enumerate(config.apps)
        if app.agent_id is None and "share_kinds" in app.model_fields_set and app.share_kinds
    ]
    problems += _same_callbacks(config)
    asks_for_names = server.tls is not None and server.tls.client_ca is not None
    if any(caller.identity for caller in callers) and not asks_for_names and "server" not in broken:
        problems.append("server.tls.client_ca: is required where a caller has an identity")
    return problems


def _address_mistakes(config: Config, broken: AbstractSet[int | str]) -> Iterator[str]:
    """Yield what is missing for addresses that other machines can reach."""
    for position, address in enumerate(config.server.grpc):
        if is_local(address):
            continue
        if config.server.tls is None:
            yield f"server.grpc[{position}]: {address} is off loopback and needs server.tls (or --insecure)"
        if not config.callers and "callers" not in broken:
            yield f"callers: at least one is required, {address} is off loopback (or --insecure)"


def _same_callbacks(config: Config) -> Iterator[str]:
    """Yield the apps whose callbacks another app's keys open: an event of one would pass as the other's."""
    seen: dict[tuple[object, object], str] = {}
    for position, app in enumerate(config.apps):
        if app.callback:
            other = seen.setdefault((app.callback.token, app.callback.aes_key), app.name)
            if other != app.name:
                yield f"apps[{position}].callback: has the token and aes_key of {other}; each app has its own"


def _repeated(table: str, key: str, entries: Sequence[object]) -> list[str]:
    names = [getattr(entry, key) for entry in entries]
    again = [position for position, name in enumerate(names) if name is not None and name in names[:position]]
    return [f"{table}[{position}].{key}: {names[position]} is used already" for position in again]


def is_local(address: str) -> bool:
    """Return whether only this machine reaches the address."""
    return address.startswith("unix:") or is_loopback(address.rpartition(":")[0].strip("[]"))


def is_loopback(host: str) -> bool:
    """Return whether the host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

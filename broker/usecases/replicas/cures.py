"""What to do about a store or a WeCom that does not answer, by its last words."""

from collections.abc import Callable, Mapping, Sequence

STAY = "do NOT restart brokers: they would lose what they hold"

STORE: Sequence[tuple[tuple[str, ...], str]] = (
    (
        ("WRONGPASS", "NOAUTH", "AuthenticationError", "invalid username-password", "invalid password"),
        "give the brokers the new password (store.password; a reload takes it), or the store the old one",
    ),
    (("NOPERM",), "give the store's user the rights of docs/operations.md, Redis"),
    (("OOM",), "free memory in Redis, or raise its maxmemory"),
    (
        ("READONLY", "ReadOnly"),
        "let store.url lead to the primary, or promote that server: a replica takes no writes",
    ),
    (("MISCONF",), "Redis cannot save: look at its disk and its log"),
    (("disk is full", "disk I/O", "database or disk"), "free space on the disk of the database"),
    (("readonly database", "unable to open"), "give the broker's user the database and its folder"),
    (
        ("Name or service", "name resolution", "No address associated", "nodename", "resolve"),
        "mend the name server, or the host in store.url",
    ),
)
"""Words of the server or the system, and the remedy."""
STORE_OTHERWISE = "bring the store back"

WECOM: Sequence[tuple[tuple[str, ...], str]] = (
    (
        ("cannot be resolved",),
        "mend the name server, or fix the address in [wecom] resolve and restart; else it heals by itself",
    ),
    (("certificate",), "a proxy that opens TLS needs its CA in [wecom] ca; else somebody else answers there"),
    (("proxy",), "look at the proxy, and at [wecom] proxy"),
    (("HTTP 5", "busy", "in time"), "WeCom itself fails: wait, it heals by itself; valid tokens are served"),
)
WECOM_OTHERWISE = "look at DNS, proxy and firewall between the broker and WeCom; else it heals by itself"


def store_cure(last_error: str) -> str:
    """Return what brings the store back."""
    return f"{_first(STORE, last_error, STORE_OTHERWISE)}; {STAY}"


def wecom_cure(last_error: str) -> str:
    """Return what brings WeCom back, as seen from here."""
    return _first(WECOM, last_error, WECOM_OTHERWISE)


CURES: Mapping[str, Callable[[str], str]] = {"store": store_cure, "wecom": wecom_cure}
"""By the name of the dependency."""


def _first(cures: Sequence[tuple[tuple[str, ...], str]], text: str, otherwise: str) -> str:
    return next((cure for words, cure in cures if any(word in text for word in words)), otherwise)

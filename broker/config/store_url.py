"""The address of the store, a secret since it may hold a password; checked before anything connects to it."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, NamedTuple
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from pydantic import AfterValidator

from broker.config.secrets.fields import AnySecret
from broker.domain.secret import Secret
from broker.domain.stores.redis_address import Host, Login, RedisAddress, Topology

ENCODE = "; percent-encode the password: # is %23, / is %2F, ? is %3F, [ is %5B"

TLS_OPTIONS = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"})
"""Paths of PEM files: a private certificate authority, and a certificate for this broker."""


class Form(NamedTuple):
    """What an address of one topology looks like."""

    topology: Topology
    example: str
    port: int
    path: str
    """A pattern; its groups are `primary` and `database`."""
    path_is: str


DATABASE = r"/?|/(?P<database>[0-9]{1,5})"
FORMS: Mapping[str, Form] = {
    "": Form(Topology.STANDALONE, "host:port/database", 6379, DATABASE, "the database a number"),
    "+sentinel": Form(
        Topology.SENTINEL,
        "host:port,host:port/PRIMARY-NAME",
        26379,
        r"/(?P<primary>[A-Za-z0-9._-]+)(/(?P<database>[0-9]{1,5})?)?",
        "after the sentinels the primary's name (as in `sentinel monitor NAME …`), then perhaps /database",
    ),
    "+cluster": Form(
        Topology.CLUSTER,
        "host:port,host:port",
        6379,
        r"/?|/(?P<database>0)",
        "no database",
    ),
}
"""The topologies by what follows `redis` or `rediss` in the scheme."""

HOST = re.compile(r"(\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[^\[\]:]+))(:(?P<port>[0-9]{1,5}))?")
HIGHEST_PORT = 65535


def place_of(url: Secret) -> str:
    """Return the address without user and password, for logs and errors."""
    scheme, _, rest = url.reveal().partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def redis_address(url: Secret) -> RedisAddress:
    """Return where the servers are. Raises `ValueError`, which says what the address must look like."""
    parts = _split(url.reveal())
    secure, form = _form(parts.scheme)
    must = f"must be {parts.scheme}://{form.example}"
    hosts = tuple(_hosts(parts.netloc.rpartition("@")[2], form, must))
    if parts.fragment or (parts.query and not secure):
        raise ValueError(f"{must}, without '?' or '#'")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if not options.keys() <= TLS_OPTIONS:
        raise ValueError(f"{must}, and after '?' {', '.join(sorted(TLS_OPTIONS))}")
    path = re.fullmatch(form.path, parts.path)
    if not path:
        raise ValueError(f"{must}, and {form.path_is}")
    found = path.groupdict()
    return RedisAddress(
        form.topology,
        hosts,
        primary_name=found.get("primary") or "",
        database=int(found.get("database") or 0),
        tls=options if secure else None,
    )


def login_in(url: Secret) -> Login:
    """Return the user and password in an address that was checked."""
    parts = _split(url.reveal())
    return Login(unquote(parts.username or ""), Secret(unquote(parts.password or "")))


def _split(value: str) -> SplitResult:
    try:
        return urlsplit(value)
    except ValueError:
        raise ValueError("is not a URL") from None


def _form(scheme: str) -> tuple[bool, Form]:
    """Return whether TLS is asked for, and the form of the address."""
    for name, secure in (("rediss", True), ("redis", False)):
        if scheme.startswith(name) and (form := FORMS.get(scheme.removeprefix(name))):
            return secure, form
    raise ValueError(
        "must begin with sqlite:///, redis://, redis+sentinel:// or redis+cluster://"
        " (with TLS rediss://, rediss+sentinel:// or rediss+cluster://)"
    )


def _hosts(written: str, form: Form, must: str) -> Iterator[Host]:
    hosts = written.split(",")
    if len(hosts) > 1 and form.topology is Topology.STANDALONE:
        raise ValueError(
            f"{must}: one host; several are the members of redis+cluster://, or the sentinels of redis+sentinel://"
        )
    for host in hosts:
        found = HOST.fullmatch(host)
        if not found:
            raise ValueError("is not a URL" if len(hosts) == 1 and host else must)
        port = int(found["port"] or form.port)
        if not 0 < port <= HIGHEST_PORT:
            raise ValueError(
                "is not a URL" if len(hosts) == 1 else f"{must}, and each port at most {HIGHEST_PORT}"
            )
        yield Host(found["v6"] or found["name"], port)


def _check(url: Secret) -> Secret:
    value = url.reveal()
    try:
        if value.startswith("sqlite:"):
            if not re.match(r"sqlite:///.", value):
                raise ValueError("must be sqlite:///path")
        else:
            redis_address(url)
    except ValueError as problem:
        raise ValueError(f"{problem}{ENCODE if '@' in value else ''}") from None
    return url


StoreUrl = Annotated[AnySecret, AfterValidator(_check)]

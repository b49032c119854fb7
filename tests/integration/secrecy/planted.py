"""The secrets of a configuration: each key that holds one, and in which way it enters."""

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from broker.config.schema import Config
from broker.domain.secret import Secret
from tests.kit.processes.certificates import Authority
from tests.kit.secrecy import forms

NO_SECRET_TYPE = {"server.tls.private_key", "callers.token_sha256"}
"""Keys that name a file with a secret, or its digest: they are planted too."""
TABLES_BY_ID = {"apps.corp_callbacks"}
"""Their keys are ids, and no names of settings."""


class Way(StrEnum):
    """How a secret enters."""

    LITERAL = "literal"
    ENV = "env"
    FILE = "file"
    COMMAND = "command"


@dataclass
class Planted:
    """What was put into a configuration."""

    folder: Path
    """Of the files; nobody searches it."""
    variables: dict[str, str] = field(default_factory=dict)
    needles: dict[str, set[bytes]] = field(default_factory=dict)
    """All that may not be found, by key."""
    ways: dict[str, set[Way]] = field(default_factory=dict)

    def plant(self, config: dict[str, Any]) -> dict[str, Any]:
        """Return the configuration with its secrets put where they are read from, each in another way."""
        self.folder.mkdir(exist_ok=True)
        replaced: dict[str, Any] = _replaced(config, "", self._enter)
        return replaced

    def _enter(self, key: str, value: str) -> object:
        number = sum(len(ways) for ways in self.ways.values())
        way = list(Way)[number % len(Way)]
        self.ways.setdefault(key, set()).add(way)
        self.needles.setdefault(key, set()).update(forms_of(key, value))
        name = f"PLANTED_{len(self.needles[key])}_{number}"
        if way is Way.LITERAL:
            return value
        if way is Way.ENV:
            self.variables[name] = value
            return {"env": name}
        path = self.folder / name
        path.write_text(value)
        path.chmod(0o600)
        return {"file": str(path)} if way is Way.FILE else {"command": ["cat", str(path)]}


def forms_of(key: str, value: str) -> set[bytes]:
    """Return what may not be found of a secret: of an address its password, of a key its bytes too."""
    if "://" in value:
        login = value.rpartition("@")[0].rpartition("//")[2]
        password = login.partition(":")[2]
        return forms(login) | forms(password) if password else set()
    found = set(forms(value))
    if key.endswith((".aes_key", "seal_keys.key")):
        found |= forms(base64.b64decode(value + "=" * (-len(value) % 4)))
    return found


def of_private_key(pem: bytes) -> set[bytes]:
    """Return what may not be found of a private key: no line of its PEM, and none of its bytes."""
    lines = [line for line in pem.splitlines() if not line.startswith(b"-----")]
    return {*lines, *(form for line in lines for form in forms(base64.b64decode(line)))}


def _replaced(
    given: object, key: str, enter: Callable[[str, str], object]
) -> Any:  # a part of a configuration
    if isinstance(given, Mapping):
        return {name: _replaced(inner, _below(key, name), enter) for name, inner in given.items()}
    if isinstance(given, list):
        return [_replaced(inner, key, enter) for inner in given]
    return enter(key, given) if key in SECRET_KEYS and isinstance(given, str) else given


def _below(key: str, name: str) -> str:
    if key in TABLES_BY_ID:
        return f"{key}."
    return f"{key}{'' if not key or key.endswith('.') else '.'}{name}"


def secret_keys(model: type[BaseModel] = Config, above: str = "") -> Iterator[str]:
    """Yield the keys of a configuration whose type is a secret."""
    for name, setting in model.model_fields.items():
        key = f"{above}.{name}" if above else name
        if _has(setting.annotation, Secret):
            yield key
        for table in _tables(setting.annotation):
            yield from secret_keys(table, key)


def _has(annotation: object, wanted: type) -> bool:
    return annotation is wanted or any(_has(part, wanted) for part in get_args(annotation))


def _tables(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _tables(part)


SECRET_KEYS = frozenset(secret_keys())


def tls(folder: Path, authority: Authority, needles: dict[str, set[bytes]]) -> dict[str, str]:
    """Return `server.tls` with a certificate for loopback; note its key."""
    pair = authority.sign(address="127.0.0.1")
    needles["server.tls.private_key"] = of_private_key(pair.private_key)
    return pair.write(folder, "server")

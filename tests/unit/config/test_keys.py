"""Every key of the configuration has a value that is refused, and the mistake names the key."""

import base64
import re
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel

from broker.config.load import ConfigError, parse_config
from broker.config.schema import Config

SEAL_KEY = base64.b64encode(bytes(range(32))).decode()
CORP = "wpOne"


def callback(token: str) -> dict[str, str]:
    """Return a callback of its own."""
    return {"token": token, "aes_key": "A" * 43}


VALID: dict[str, Any] = {
    "server": {
        "grpc": [{"address": "unix:///run/broker.sock"}],
        "tls": {"certificate": "PEM", "private_key": "PEM", "client_ca": "PEM"},
    },
    "console": {
        "listen": "127.0.0.1:8082",
        "tls": {"certificate": "PEM", "private_key": "PEM", "client_ca": "PEM"},
    },
    "store": {"url": "redis://127.0.0.1:6379", "seal_keys": [{"id": "k1", "key": SEAL_KEY}]},
    "wecom": {},
    "log": {},
    "audit": {},
    "tracing": {},
    "refresh": {},
    "events": {},
    "apps": [
        {
            "name": "crm",
            "corp_id": "ww0parent",
            "agent_id": 1000002,
            "secret": "a-secret",
            "callback": callback("crm"),
            "mini_program": {},
        },
        {
            "name": "market",
            "kind": "third_party",
            "suite_id": "ww8f3c1d5a77e0b942",
            "suite_secret": "suite-secret",
            "provider": "acme",
            "callback": callback("market"),
            "mini_program": {},
        },
        {
            "name": "tailored",
            "kind": "customized",
            "suite_id": "dk3b9a6f0e52d7c184",
            "suite_secret": "template-secret",
            "provider": "acme",
            "callback": callback("tailored"),
            "mini_program": {},
            "corp_callback": callback("corps"),
            "corp_callbacks": {CORP: callback("one")},
        },
    ],
    "providers": [
        {"name": "acme", "corp_id": "ww5d0e9b21c7a4f683", "secret": "a-secret", "callback": callback("acme")}
    ],
    "callers": [
        {
            "name": "orders",
            "token_sha256": "0" * 64,
            "allow": [{"apps": ["crm"], "actions": ["token.get"]}],
            "limits": {},
        }
    ],
}


def bad_callback(path: str) -> dict[str, Any]:
    """Return a bad value of each key of a callback's table."""
    return {
        f"{path}.token": "a b",
        f"{path}.aes_key": "short",
        f"{path}.max_age_seconds": -1,
        f"{path}.accept_empty_receive_id": "perhaps",
        f"{path}.check_sender": "perhaps",
    }


BAD: dict[str, Any] = {
    "server": 3,
    "server.grpc": [],
    "server.grpc[0].address": "nonsense",
    "server.grpc[0].mode": "rw-rw----",
    "server.grpc[0].caller": "c r m",
    "server.grpc[0].uid": -1,
    "server.grpc[0].client_certificate": "perhaps",
    "server.http": 8080,
    "server.workers": 0,
    "server.tls": "cert.pem",
    "server.tls.certificate": "missing.pem",
    "server.tls.private_key": "missing.pem",
    "server.tls.client_ca": "missing.pem",
    "server.tls.client_ca_required": "perhaps",
    "server.trusted_proxies": "10.0.0.0/8",
    "server.reflection": "perhaps",
    "server.drain_seconds": -1,
    "console": 3,
    "console.listen": 8082,
    "console.tls": "cert.pem",
    "console.tls.certificate": "missing.pem",
    "console.tls.private_key": "missing.pem",
    "console.tls.client_ca": "missing.pem",
    "console.tls.client_ca_required": "perhaps",
    "store": [],
    "store.url": "postgres://h/db",
    "store.password": {"password": "s3cret"},
    "store.sentinel_user": 7,
    "store.replicas_acknowledge": -1,
    "store.sentinel_password": {"file": "/nowhere/at/all"},
    "store.prefix": "a b",
    "store.seal_keys": SEAL_KEY,
    "store.seal_keys[0].id": "",
    "store.seal_keys[0].key": "c2hvcnQ=",
    "wecom": "https://qyapi.weixin.qq.com",
    "wecom.api_base": "qyapi.weixin.qq.com",
    "wecom.oauth_base": "ftp://h",
    "wecom.timeout_seconds": 0,
    "wecom.proxy": "proxy:3128",
    "wecom.ca": "missing.pem",
    "wecom.resolve": "10.0.0.1",
    "log": "info",
    "log.level": "loud",
    "log.format": "xml",
    "audit": "stdout",
    "audit.file": "",
    "tracing": True,
    "tracing.enabled": "perhaps",
    "refresh": None,
    "refresh.advisory": 1,
    "refresh.mandatory_seconds": -1,
    "refresh.cooldown_seconds": 0,
    "refresh.share_sync_seconds": 0,
    "events": [],
    "events.retention_seconds": 59,
    "events.retention_count": 99,
    "events.ack_timeout_seconds": 0,
    "events.max_tries": 0,
    "apps": {"name": "crm"},
    "apps[0].name": "c r m",
    "apps[0].kind": "handmade",
    "apps[0].corp_id": "ww 1",
    "apps[0].agent_id": "1000002",
    "apps[0].secret": "",
    "apps[0].share_kinds": "corp_group",
    "apps[0].callback": "abc123",
    **bad_callback("apps[0].callback"),
    "apps[0].callback.accept_child_receive_id": "perhaps",
    "apps[0].mini_program": 3,
    "apps[0].mini_program.app_id": "wx 1",
    "apps[0].mini_program.max_age_seconds": 0,
    "apps[1].name": "m k",
    "apps[1].kind": "handmade",
    "apps[1].suite_id": "ww 1",
    "apps[1].suite_secret": "with blank",
    "apps[1].provider": "acne",
    "apps[1].share_kinds": "corp_group",
    "apps[1].callback": "abc123",
    **bad_callback("apps[1].callback"),
    "apps[1].mini_program": 3,
    "apps[1].mini_program.app_id": "wx 1",
    "apps[1].mini_program.max_age_seconds": 0,
    "apps[2].name": "m k",
    "apps[2].kind": "handmade",
    "apps[2].suite_id": "ww 1",
    "apps[2].suite_secret": "with blank",
    "apps[2].provider": "acne",
    "apps[2].share_kinds": "corp_group",
    "apps[2].callback": "abc123",
    **bad_callback("apps[2].callback"),
    "apps[2].mini_program": 3,
    "apps[2].mini_program.app_id": "wx 1",
    "apps[2].mini_program.max_age_seconds": 0,
    "apps[2].corp_callback": "abc123",
    **bad_callback("apps[2].corp_callback"),
    "apps[2].corp_callbacks": [],
    **bad_callback(f"apps[2].corp_callbacks.{CORP}"),
    "providers": "acme",
    "providers[0].name": "",
    "providers[0].corp_id": "w w",
    "providers[0].secret": "'quoted'",
    "providers[0].callback": "abc123",
    **bad_callback("providers[0].callback"),
    "callers": 3,
    "callers[0].name": "",
    "callers[0].identity": "orders.svc",
    "callers[0].token_sha256": "F" * 64,
    "callers[0].allow": {"apps": ["crm"]},
    "callers[0].allow[0].apps": [],
    "callers[0].allow[0].corps": [],
    "callers[0].allow[0].actions": [],
    "callers[0].allow[0].paths": "/cgi-bin/user/get",
    "callers[0].limits": 6,
    "callers[0].limits.calls_per_minute": "60000",
    "callers[0].limits.calls_at_once": -1,
    "callers[0].limits.streams": 1.5,
    "callers[0].limits.forced_per_minute": True,
    "callers[0].limits.facade_tokens_per_minute": 10**10,
}


def valid(tmp_path: Path) -> dict[str, Any]:
    """Return tables without a mistake, in which every inner table is given."""
    pem = tmp_path / "some.pem"
    pem.write_text("-----")
    tables = deepcopy(VALID)
    for name in ("server", "console"):
        tables[name]["tls"] = dict.fromkeys(VALID[name]["tls"], str(pem))
    return tables


def tables_of(annotation: object) -> list[tuple[type[BaseModel], str]]:
    """Return the tables that a key holds, and how the path to each goes on; a list has one of each kind."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [(annotation, "")]
    found = [table for inner in get_args(annotation) for table in tables_of(inner)]
    if get_origin(annotation) is list:
        return [(table, f"[{index}]{way}") for index, (table, way) in enumerate(found)]
    if get_origin(annotation) is dict:
        return [(table, f".{CORP}{way}") for table, way in found]
    return found


def keys(model: type[BaseModel], above: str = "") -> Iterator[tuple[str, object]]:
    """Yield the path of every key, and what type it has."""
    for name, field in model.model_fields.items():
        yield above + name, field.annotation
        for table, way in tables_of(field.annotation):
            yield from keys(table, f"{above}{name}{way}.")


def is_number(annotation: object) -> bool:
    """Return whether a key of that type takes numbers."""
    return annotation in (int, float) or any(
        is_number(part) for part in get_args(annotation) if get_origin(annotation) is not Literal
    )


NUMBERS = [path for path, annotation in keys(Config) if is_number(annotation)]
BEYOND = {
    "inf": float("inf"),
    "-inf": float("-inf"),
    "nan": float("nan"),
    "1e300": 1e300,
    "10**400": 10**400,
    "longer than a timedelta": 8.64e13,
    "-1": -1,
}
"""Numbers that TOML can write, and that are no time, count, share or id."""


def put(tables: dict[str, Any], path: str, value: object) -> None:
    """Set the key at the path."""
    *way, last = [int(part) if part.isdigit() else part for part in re.findall(r"\w+", path)]
    place: Any = tables
    for part in way:
        place = place[part]
    place[last] = value


def test_every_key_of_the_schema_has_a_row_here() -> None:
    assert sorted(BAD) == sorted(path for path, _ in keys(Config))


def test_without_the_mistake_the_tables_are_accepted(tmp_path: Path) -> None:
    assert "crm" == parse_config(valid(tmp_path)).apps[0].name


@pytest.mark.parametrize("path", BAD)
def test_a_bad_value_is_told_by_its_key_alone(path: str, tmp_path: Path) -> None:
    tables = valid(tmp_path)
    put(tables, path, BAD[path])

    with pytest.raises(ConfigError) as refused:
        parse_config(tables)
    assert [path] == [problem.partition(": ")[0] for problem in refused.value.problems]


@pytest.mark.parametrize("value", BEYOND.values(), ids=BEYOND)
@pytest.mark.parametrize("path", NUMBERS)
def test_every_number_has_bounds(path: str, value: float, tmp_path: Path) -> None:
    tables = valid(tmp_path)
    put(tables, path, value)

    with pytest.raises(ConfigError) as refused:
        parse_config(tables)
    assert [path] == [problem.partition(": ")[0] for problem in refused.value.problems]

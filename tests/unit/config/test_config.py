"""The configuration: keys have their defaults, all mistakes are told at once by key, no secret is told."""

import base64
import codecs
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.config import mapping
from broker.config.load import ConfigError, load_config, parse_config
from broker.config.schema import Config
from broker.domain.corps import ShareKind
from broker.domain.secret import Secret
from broker.domain.stores.redis_address import Host, Login, RedisAddress, Topology
from tests.kit.processes.broker_process import to_toml

MARKER = "MarkerOfASecretValue"
SEAL_KEY = base64.b64encode(bytes(range(32))).decode()
AES_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
CRM: dict[str, Any] = {"name": "crm", "corp_id": "ww0parent", "agent_id": 1000002, "secret": "a-secret"}
CONTACTS: dict[str, Any] = {"name": "contacts", "corp_id": "ww0parent", "secret": "another-secret"}
ORDERS: dict[str, Any] = {
    "name": "orders",
    "token_sha256": "0" * 64,
    "allow": [{"apps": ["crm"], "actions": ["token.get"]}],
}
REDIS = {"url": "redis://127.0.0.1:6379", "seal_keys": [{"id": "k1", "key": SEAL_KEY}]}


@pytest.fixture(autouse=True)
def _no_level_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WECOM_BROKER_LOG_LEVEL", raising=False)


def config(**tables: Any) -> Config:
    return parse_config({"apps": [CRM], **tables})


def mistakes(given_: Mapping[str, Any], *, insecure: bool = False) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        parse_config(given_, insecure=insecure)
    return refused.value.problems


def mistakes_in(**tables: Any) -> list[str]:
    return mistakes({"apps": [CRM], **tables})


def keys_of(problems: list[str]) -> set[str]:
    return {problem.partition(": ")[0] for problem in problems}


EXAMPLE = """
[server]
grpc = ["127.0.0.1:50051", "unix:///run/wecom-broker/broker.sock"]
http = "127.0.0.1:8080"
workers = 1
tls = { certificate = "PEM", private_key = "PEM", client_ca = "PEM" }
reflection = false
drain_seconds = 10

[store]
url = "sqlite:///wecom-broker.db"   # the embedded default, one process
prefix = "wecom-broker"
seal_keys = [ { id = "k2", key = {env="SEAL_KEY_2"} }, { id = "k1", key = {env="SEAL_KEY_1"} } ]

[wecom]
api_base = "https://qyapi.weixin.qq.com"
oauth_base = "https://open.weixin.qq.com"
timeout_seconds = 5

[log]
level = "info"
format = "json"

[refresh]
advisory = 0.8
mandatory_seconds = 60
cooldown_seconds = 10
share_sync_seconds = 600

[[apps]]
name = "crm"
kind = "self_built"
corp_id = "ww0parent000000001"
agent_id = 1000002
secret = {env="CRM_SECRET"}
share_kinds = ["corp_group", "supply_chain"]
callback = { token = {env="CALLBACK_TOKEN"}, aes_key = {env="CALLBACK_AES_KEY"}, max_age_seconds = 600 }

[[callers]]
name = "orders"
identity = "spiffe://example.org/orders"
allow = [ { apps = ["crm"], corps = ["*"], actions = ["token.get", "jssdk.sign"] } ]

[[callers]]
name = "billing"
token_sha256 = "7d1a54127b222502f5b79b5fb0803061152a44f92b37e23c6527baf665d4da9a"
allow = [ { apps = ["crm"], actions = ["api.call"], paths = ["/cgi-bin/user/get"] } ]
"""


# --- what is accepted


def test_the_design_s_example_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pem = tmp_path / "some.pem"
    pem.write_text("-----")
    monkeypatch.setenv("SEAL_KEY_1", SEAL_KEY)
    monkeypatch.setenv("SEAL_KEY_2", base64.b64encode(bytes(32)).decode())
    monkeypatch.setenv("CRM_SECRET", "the-secret-of-crm")
    monkeypatch.setenv("CALLBACK_TOKEN", "abc123")
    monkeypatch.setenv("CALLBACK_AES_KEY", AES_KEY)
    path = tmp_path / "broker.toml"
    path.write_text(EXAMPLE.replace('"PEM"', json.dumps(str(pem))))

    read = load_config(path)

    assert "the-secret-of-crm" == read.apps[0].secret.reveal()
    assert (ShareKind.CORP_GROUP, ShareKind.SUPPLY_CHAIN) == read.apps[0].kinds()
    assert ["k2", "k1"] == [key.id for key in read.store.seal_keys]
    assert bytes(32) == read.store.seal_keys[0].key_bytes()
    assert ["/cgi-bin/user/get"] == read.callers[1].allow[0].paths


def test_one_app_is_all_that_is_required() -> None:
    assert ["crm"] == [app.name for app in config().apps]


DEFAULTS: dict[str, dict[str, Any]] = {
    "server": {
        "grpc": ["127.0.0.1:50051"],
        "http": "127.0.0.1:8080",
        "workers": 1,
        "tls": None,
        "trusted_proxies": [],
        "reflection": False,
        "drain_seconds": 10,
    },
    "store": {
        "url": Secret("sqlite:///wecom-broker.db"),
        "password": None,
        "sentinel_user": "",
        "sentinel_password": None,
        "replicas_acknowledge": 0,
        "prefix": "wecom-broker",
        "seal_keys": [],
    },
    "wecom": {
        "api_base": "https://qyapi.weixin.qq.com",
        "oauth_base": "https://open.weixin.qq.com",
        "timeout_seconds": 5,
        "proxy": None,
        "ca": None,
        "resolve": {},
    },
    "log": {"level": "info", "format": "console"},
    "refresh": {
        "advisory": 0.8,
        "mandatory_seconds": 60,
        "cooldown_seconds": 10,
        "share_sync_seconds": 600,
    },
    "events": {
        "retention_seconds": 259200,
        "retention_count": 100_000,
        "ack_timeout_seconds": 60,
        "max_tries": 10,
    },
}


@pytest.mark.parametrize("table", DEFAULTS)
def test_every_key_has_the_default_of_the_design(table: str) -> None:
    assert DEFAULTS[table] == getattr(config(), table).model_dump()


def test_an_app_is_self_built_and_shared_in_the_corp_group_by_default() -> None:
    app = config().apps[0]

    assert ("self_built", (ShareKind.CORP_GROUP,), None) == (app.kind, app.kinds(), app.callback)


def test_an_app_may_have_no_agent_id_and_then_has_no_shares() -> None:
    for app in (CONTACTS, {**CONTACTS, "share_kinds": []}):
        found = mapping.apps(parse_config({"apps": [app]}))["contacts"]

        assert (0, ()) == (found.agent_id, found.share_kinds)


@pytest.mark.parametrize("number", [0, -1])
def test_a_number_that_is_no_agent_id_is_better_left_out(number: int) -> None:
    (problem,) = mistakes({"apps": [{**CRM, "agent_id": number}]})

    assert problem.startswith("apps[0].agent_id: is no AgentId; leave the key out")


def test_a_callback_is_taken_for_ten_minutes_by_default() -> None:
    app = {**CRM, "callback": {"token": "abc", "aes_key": AES_KEY}}
    callback = parse_config({"apps": [app]}).apps[0].callback

    assert callback
    assert 600 == callback.max_age_seconds


def test_a_rule_holds_for_all_corps_by_default() -> None:
    assert ["*"] == config(callers=[ORDERS]).callers[0].allow[0].corps


def test_a_kind_of_share_named_twice_is_listed_once() -> None:
    app = {**CRM, "share_kinds": ["supply_chain", "corp_group", "supply_chain"]}

    assert (ShareKind.SUPPLY_CHAIN, ShareKind.CORP_GROUP) == parse_config({"apps": [app]}).apps[0].kinds()


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///x.db",
        "sqlite:////var/lib/x.db",
        "redis://127.0.0.1",
        "redis://:pw@[::1]:6379/2",
        "rediss://h:6380",
        "rediss://h:6380/0?ssl_ca_certs=/etc/ca.pem&ssl_certfile=/c.pem&ssl_keyfile=/k.pem",
    ],
)
def test_the_stores_there_are_can_be_named(url: str) -> None:
    assert url == config(store={**REDIS, "url": url}).store.url.reveal()


def test_a_store_s_address_may_be_given_as_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORE_URL", "redis://:pw@127.0.0.1:6379")

    assert (
        "redis://:pw@127.0.0.1:6379"
        == config(store={**REDIS, "url": {"env": "STORE_URL"}}).store.url.reveal()
    )


@pytest.mark.parametrize(("url", "path"), [("sqlite:///x.db", "x.db"), ("sqlite:////var/x.db", "/var/x.db")])
def test_the_embedded_store_s_path_is_relative_or_absolute(url: str, path: str) -> None:
    store = config(store={"url": url}).store

    assert store.is_embedded
    assert Path(path) == store.path


@pytest.mark.parametrize(
    "address", ["127.0.0.1:0", "127.9.9.9:1", "[::1]:50051", "localhost:50051", "unix:///run/broker.sock"]
)
def test_loopback_and_socket_files_need_no_tls(address: str) -> None:
    assert [address] == config(server={"grpc": [address]}).server.grpc


# --- mistakes

SOCKET = {"address": "unix:///b.sock"}
PORT = {"address": "127.0.0.1:50051"}
HEX = "f" * 64

MISTAKES: list[tuple[dict[str, Any], set[str]]] = [
    ({"bogus": 1}, {"bogus"}),
    ({"server": {"bogus": 1}}, {"server.bogus"}),
    (
        {"server": {"tls": {"bogus": 1}}},
        {"server.tls.bogus", "server.tls.certificate", "server.tls.private_key"},
    ),
    ({"apps": [{**CRM, "bogus": 1}]}, {"apps[0].bogus"}),
    ({"apps": [CRM, {**CRM, "name": "b", "callback": {"token": "a"}}]}, {"apps[1].callback.aes_key"}),
    (
        {"callers": [{**ORDERS, "allow": [{"apps": ["crm"], "actions": ["token.get"], "x": 1}]}]},
        {"callers[0].allow[0].x"},
    ),
    ({"server": 3}, {"server"}),
    ({"log": 3}, {"log"}),
    ({"log": "info"}, {"log"}),
    ({"store": []}, {"store"}),
    ({"refresh": None}, {"refresh"}),
    ({"wecom": "https://qyapi.weixin.qq.com"}, {"wecom"}),
    ({"apps": "x"}, {"apps"}),
    ({"apps": {"name": "crm"}}, {"apps"}),
    ({"apps": []}, {"apps"}),
    ({"apps": [3]}, {"apps[0]"}),
    ({"apps": [{}]}, {"apps[0].name", "apps[0].corp_id", "apps[0].secret"}),
    ({"callers": 3}, {"callers"}),
    ({"callers": [[]]}, {"callers[0]"}),
    ({"server": {"grpc": []}}, {"server.grpc"}),
    ({"server": {"grpc": "127.0.0.1:50051"}}, {"server.grpc"}),
    ({"server": {"grpc": [50051]}}, {"server.grpc[0]"}),
    ({"server": {"http": 8080}}, {"server.http"}),
    ({"server": {"workers": 0}}, {"server.workers"}),
    ({"server": {"workers": "many"}}, {"server.workers"}),
    ({"server": {"drain_seconds": -1}}, {"server.drain_seconds"}),
    ({"server": {"reflection": "perhaps"}}, {"server.reflection"}),
    ({"server": {"tls": "cert.pem"}}, {"server.tls"}),
    ({"store": {"prefix": ""}}, {"store.prefix"}),
    ({"store": {"prefix": "a b"}}, {"store.prefix"}),
    ({"store": {**REDIS, "seal_keys": [{"id": "", "key": SEAL_KEY}]}}, {"store.seal_keys[0].id"}),
    ({"store": {**REDIS, "seal_keys": SEAL_KEY}}, {"store.seal_keys"}),
    ({"wecom": {"timeout_seconds": 0}}, {"wecom.timeout_seconds"}),
    ({"wecom": {"timeout_seconds": float("nan")}}, {"wecom.timeout_seconds"}),
    ({"refresh": {"advisory": 1}}, {"refresh.advisory"}),
    ({"refresh": {"advisory": 0}}, {"refresh.advisory"}),
    ({"refresh": {"mandatory_seconds": -1}}, {"refresh.mandatory_seconds"}),
    ({"refresh": {"cooldown_seconds": float("inf")}}, {"refresh.cooldown_seconds"}),
    ({"refresh": {"share_sync_seconds": 0}}, {"refresh.share_sync_seconds"}),
    ({"log": {"level": "loud"}}, {"log.level"}),
    ({"log": {"format": "xml"}}, {"log.format"}),
    ({"apps": [{**CRM, "name": "c r m"}]}, {"apps[0].name"}),
    ({"apps": [{**CRM, "name": ""}]}, {"apps[0].name"}),
    ({"apps": [{**CRM, "corp_id": "ww 1"}]}, {"apps[0].corp_id"}),
    ({"apps": [{**CRM, "corp_id": "企业"}]}, {"apps[0].corp_id"}),
    ({"apps": [{**CRM, "agent_id": "1000002"}]}, {"apps[0].agent_id"}),
    ({"apps": [{**CRM, "agent_id": 0}]}, {"apps[0].agent_id"}),
    ({"apps": [{**CRM, "agent_id": 2**63}]}, {"apps[0].agent_id"}),
    ({"apps": [{**CRM, "agent_id": True}]}, {"apps[0].agent_id"}),
    ({"apps": [{**CONTACTS, "share_kinds": ["supply_chain"]}]}, {"apps[0].share_kinds"}),
    ({"apps": [{**CRM, "kind": "handmade"}]}, {"apps[0].kind"}),
    ({"apps": [{**CRM, "share_kinds": ["own"]}]}, {"apps[0].share_kinds[0]"}),
    (
        {"apps": [{**CRM, "callback": {"token": "a b", "aes_key": "short"}}]},
        {"apps[0].callback.token", "apps[0].callback.aes_key"},
    ),
    (
        {"apps": [{**CRM, "callback": {"token": "a", "aes_key": AES_KEY, "max_age_seconds": float("inf")}}]},
        {"apps[0].callback.max_age_seconds"},
    ),
    ({"callers": [{"name": "orders"}]}, {"callers[0]"}),
    ({"callers": [{**ORDERS, "identity": "dns:orders.svc"}]}, {"callers[0]"}),
    ({"callers": [{"name": "orders", "identity": "orders.svc"}]}, {"callers[0].identity"}),
    ({"callers": [{**ORDERS, "token_sha256": "F" * 64}]}, {"callers[0].token_sha256"}),
    (
        {"callers": [{**ORDERS, "allow": [{"apps": [], "actions": []}]}]},
        {"callers[0].allow[0].apps", "callers[0].allow[0].actions"},
    ),
    (
        {"callers": [{**ORDERS, "allow": [{"apps": ["crm"], "actions": ["token.steal"]}]}]},
        {"callers[0].allow[0].actions[0]"},
    ),
    # Those that only show when several keys are seen together:
    ({"server": {"workers": 2}}, {"server.workers"}),
    ({"server": {"workers": 2, "grpc": ["unix:///b.sock"]}, "store": REDIS}, {"server.grpc[0]"}),
    ({"store": {"url": "redis://127.0.0.1"}}, {"store.seal_keys"}),
    ({"store": {**REDIS, "seal_keys": [{"id": "k1", "key": SEAL_KEY}] * 2}}, {"store.seal_keys[1].id"}),
    ({"apps": [CRM, CRM]}, {"apps[1].name"}),
    ({"callers": [ORDERS, {**ORDERS, "token_sha256": HEX}]}, {"callers[1].name"}),
    ({"callers": [ORDERS, {**ORDERS, "name": "other"}]}, {"callers[1].token_sha256"}),
    ({"server": {"grpc": ["0.0.0.0:50051"]}}, {"server.grpc[0]", "callers"}),
    ({"server": {"grpc": ["127.0.0.1:1", "[::]:2"]}, "callers": [ORDERS]}, {"server.grpc[1]"}),
    ({"server": {"grpc": ["broker.internal:1"]}, "callers": [ORDERS]}, {"server.grpc[0]"}),
    ({"callers": [{"name": "orders", "identity": "dns:orders.svc"}]}, {"server.tls.client_ca"}),
    ({"server": {"grpc": [SOCKET | {"caller": "order"}]}, "callers": [ORDERS]}, {"server.grpc[0].caller"}),
    ({"server": {"grpc": [SOCKET | {"client_certificate": True}]}}, {"server.grpc[0].client_certificate"}),
    ({"server": {"grpc": [SOCKET | {"mode": 660}]}}, {"server.grpc[0].mode"}),
    ({"server": {"grpc": [SOCKET | {"mode": "0999"}]}}, {"server.grpc[0].mode"}),
    ({"server": {"grpc": [SOCKET | {"user": "orders"}]}}, {"server.grpc[0].user"}),
    ({"server": {"grpc": [{"mode": "0660"}]}}, {"server.grpc[0].address"}),
    ({"server": {"grpc": [SOCKET], "workers": 2}, "store": REDIS}, {"server.grpc[0]"}),
    (
        {
            "server": {"grpc": [PORT | {"mode": "0660", "caller": "orders", "uid": 1}]},
            "callers": [ORDERS],
        },
        {"server.grpc[0].mode", "server.grpc[0].caller", "server.grpc[0].uid"},
    ),
    ({"server": {"grpc": [PORT | {"client_certificate": True}]}}, {"server.grpc[0].client_certificate"}),
    ({"callers": [{"name": "orders"}]}, {"callers[0]"}),
    (
        {"server": {"tls": {"certificate": "no.pem", "private_key": "\0"}}},
        {"server.tls.certificate", "server.tls.private_key"},
    ),
]


@pytest.mark.parametrize(("tables", "keys"), MISTAKES, ids=[str(number) for number in range(len(MISTAKES))])
def test_each_mistake_is_told_by_its_key(tables: dict[str, Any], keys: set[str]) -> None:
    assert keys == keys_of(mistakes_in(**tables))


@pytest.mark.parametrize(
    "address",
    [
        "",
        "50051",
        ":50051",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:grpc",
        "h:65536",
        "h:-1",
        "h:²",
        "unix://",
        "unix:///",
        "unix:x",
    ],
)
def test_a_bad_address_says_how_to_write_one(address: str) -> None:
    assert ["server.grpc[0]: must be host:port or unix:///path"] == mistakes_in(server={"grpc": [address]})
    assert ["server.http: must be host:port or unix:///path"] == mistakes_in(server={"http": address})


@pytest.mark.parametrize(
    "url",
    [
        "",
        "qyapi.weixin.qq.com",
        "ftp://h",
        "https://",
        "http://h?a=b",
        "http://h#a",
        "http://[",
        "http://h:99999",
    ],
)
@pytest.mark.parametrize("key", ["api_base", "oauth_base"])
def test_a_bad_url_of_wecom_is_told(key: str, url: str) -> None:
    assert {f"wecom.{key}"} == keys_of(mistakes_in(wecom={key: url}))


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("", "is empty"),
        ("wecom-broker.db", "must begin with"),
        ("postgres://h/db", "must begin with"),
        ("sqlite://", "must be sqlite:///path"),
        ("sqlite:///", "must be sqlite:///path"),
        ("sqlite://relative.db", "must be sqlite:///path"),
        ("redis://", "must be redis://host:port"),
        ("rediss:///0", "must be rediss://host:port"),
        ("redis://h:99999", "is not a URL"),
        ("redis://[", "is not a URL"),
        ("redis://h/abc", "the database a number"),
        ("redis://h/0/1", "the database a number"),
        ("redis://h?foo=bar", "without '?' or '#'"),
        ("redis://h#0", "without '?' or '#'"),
        ("redis://h?ssl_ca_certs=/etc/ca.pem", "without '?' or '#'"),
        ("rediss://h?foo=bar", "after '?' ssl_ca_certs, ssl_certfile, ssl_keyfile"),
        ("rediss://h?ssl_cert_reqs=none", "after '?' ssl_ca_certs"),
        ("redis://h1,h2:6379", "several are the members of redis+cluster://"),
        ("redis+other://h", "redis+sentinel://"),
        ("redis+sentinel://h1,h2:26379", "the primary's name (as in `sentinel monitor NAME"),
        ("redis+sentinel://h1,h2:26379/my primary", "the primary's name"),
        ("redis+sentinel://h1:26379/main/x", "then perhaps /database"),
        ("redis+sentinel://h1,,h2/main", "must be redis+sentinel://host:port,host:port/PRIMARY-NAME"),
        ("redis+sentinel://h1,h2:99999/main", "each port at most 65535"),
        ("redis+sentinel://h1/main?ssl_ca_certs=ca.pem", "without '?' or '#'"),
        ("redis+cluster://", "must be redis+cluster://host:port,host:port"),
        ("redis+cluster://h1,h2/1", "no database"),
        ("rediss+cluster://h1,h2?foo=bar", "after '?' ssl_ca_certs"),
    ],
)
def test_a_bad_store_says_how_to_name_one(url: str, word: str) -> None:
    problems = mistakes_in(store={**REDIS, "url": url})

    assert {"store.url"} == keys_of(problems)
    assert word in problems[0]


@pytest.mark.parametrize(
    "url",
    [
        "redis://:123456xxx#@h",
        "redis://:57#Weak@h",
        "redis://u:pa/ss@h",
        "redis://u:pass[word@h",
        "redis://u:a?b@h",
        "redis://:p@ss#word@localhost",
    ],
)
def test_a_password_that_breaks_the_address_is_to_be_percent_encoded_and_not_shown(url: str) -> None:
    (problem,) = mistakes_in(store={**REDIS, "url": url})

    assert problem.startswith("store.url: ")
    assert "percent-encode the password" in problem
    assert not any(part in problem for part in ("123456", "Weak", "pass[", "ss#word", "u:"))


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://h", RedisAddress(Topology.STANDALONE, (Host("h", 6379),))),
        ("redis://[::1]:6380/2", RedisAddress(Topology.STANDALONE, (Host("::1", 6380),), database=2)),
        (
            "rediss://h?ssl_ca_certs=%2Fetc%2Fca.pem",
            RedisAddress(Topology.STANDALONE, (Host("h", 6379),), tls={"ssl_ca_certs": "/etc/ca.pem"}),
        ),
        (
            "redis+sentinel://u:p@h1,h2:26380/main",
            RedisAddress(Topology.SENTINEL, (Host("h1", 26379), Host("h2", 26380)), primary_name="main"),
        ),
        (
            "rediss+sentinel://h1/main/3",
            RedisAddress(Topology.SENTINEL, (Host("h1", 26379),), primary_name="main", database=3, tls={}),
        ),
        ("redis+cluster://:p@h1,h2:7", RedisAddress(Topology.CLUSTER, (Host("h1", 6379), Host("h2", 7)))),
        ("rediss+cluster://h1/", RedisAddress(Topology.CLUSTER, (Host("h1", 6379),), tls={})),
    ],
)
def test_an_address_names_servers_sentinels_or_members(url: str, address: RedisAddress) -> None:
    assert address == config(store={**REDIS, "url": url}).store.address


def test_the_login_is_in_the_address_or_beside_it() -> None:
    store = config(store={**REDIS, "url": "redis+sentinel://u%40x:p%2Fq@h1/main"}).store
    apart = config(
        store={
            **REDIS,
            "url": "redis+sentinel://broker@h1/main",
            "password": "one",
            "sentinel_user": "asker",
            "sentinel_password": "two",
        }
    ).store

    assert Login("u@x", Secret("p/q")) == store.login == store.sentinel_login
    assert Login("broker", Secret("one")) == apart.login
    assert Login("asker", Secret("two")) == apart.sentinel_login


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"url": "redis://u:p@h", "password": "q"}, "store.password: store.url has a password too"),
        ({"url": "sqlite:///x.db", "password": "q"}, "store.password: is for Redis alone"),
        ({"url": "sqlite:///x.db", "replicas_acknowledge": 1}, "store.replicas_acknowledge: is for Redis"),
        ({"url": "redis://h", "sentinel_password": "q"}, "store.sentinel_password: is for redis+sentinel://"),
        (
            {"sentinel_user": "u", "url": "redis+sentinel://h/main"},
            "store.sentinel_password: is required with",
        ),
    ],
)
def test_a_password_that_is_for_nobody_is_told(table: dict[str, str], problem: str) -> None:
    (found,) = mistakes_in(store={**REDIS, **table})

    assert found.startswith(problem)


def test_no_representation_of_a_configuration_shows_the_store_s_password() -> None:
    read = config(store={**REDIS, "url": f"redis://user:{MARKER}@127.0.0.1:6379/1"})

    assert "redis://127.0.0.1:6379/1" == read.store.place
    assert MARKER not in f"{read!r} {read} {read.store!r} {read.model_dump()}"


def test_all_mistakes_of_a_file_are_told_at_once() -> None:
    tables: dict[str, Any] = {
        "bogus": {},
        "server": {"grpc": ["0.0.0.0:1", "nonsense"], "http": "x", "workers": 0},
        "store": {"url": "redis://127.0.0.1", "prefix": "a b"},
        "wecom": {"timeout_seconds": -1},
        "log": {"level": "loud"},
        "refresh": {"advisory": 2, "bogus": 1},
        "apps": [CRM, {"name": "hr", "secret": {"env": "NO_SUCH_VARIABLE"}}],
        "callers": [{"name": "orders"}],
    }

    assert {
        "bogus",
        "server.grpc[1]",
        "server.http",
        "server.workers",
        "store.prefix",
        "wecom.timeout_seconds",
        "log.level",
        "refresh.advisory",
        "refresh.bogus",
        "apps[1].corp_id",
        "apps[1].secret",
        "callers[0]",
    } == keys_of(mistakes(tables))


def test_a_mistake_in_one_table_does_not_hide_what_tables_say_together() -> None:
    problems = mistakes(
        {
            "log": {"level": "loud"},
            "server": {"grpc": ["0.0.0.0:50051", "unix:///b.sock"], "workers": 2},
            "store": {"url": "redis://127.0.0.1"},
            "apps": [CRM, CRM],
        }
    )

    assert {
        "log.level",
        "server.grpc[0]",
        "server.grpc[1]",
        "store.seal_keys",
        "apps[1].name",
        "callers",
    } == keys_of(problems)


@pytest.mark.parametrize(
    ("tables", "keys"),
    [
        ({"store": {**REDIS, "prefix": "a b"}, "server": {"workers": 2}}, {"store.prefix"}),
        ({"apps": [{**CRM, "name": ""}]}, {"apps[0].name"}),
        (
            {"server": {"grpc": ["0.0.0.0:1"]}, "callers": [{**ORDERS, "name": ""}]},
            {"server.grpc[0]", "callers[0].name"},
        ),
        (
            {"server": {"http": "x"}, "callers": [{"name": "orders", "identity": "dns:orders.svc"}]},
            {"server.http"},
        ),
    ],
)
def test_nothing_untrue_is_said_of_a_table_with_a_mistake(tables: dict[str, Any], keys: set[str]) -> None:
    assert keys == keys_of(mistakes_in(**tables))


def test_no_mistake_is_told_twice() -> None:
    problems = mistakes_in(log={"level": "loud"}, server={"grpc": ["0.0.0.0:1"]}, apps=[CRM, CRM])

    assert len(set(problems)) == len(problems)


def test_insecure_allows_to_listen_off_loopback() -> None:
    server = {"grpc": ["0.0.0.0:50051"]}

    assert ["0.0.0.0:50051"] == parse_config({"apps": [CRM], "server": server}, insecure=True).server.grpc


def test_insecure_forgives_nothing_else() -> None:
    given_ = {"apps": [CRM, CRM], "server": {"grpc": ["0.0.0.0:1"]}, "store": {"url": "redis://127.0.0.1"}}

    assert {"apps[1].name", "store.seal_keys"} == keys_of(mistakes(given_, insecure=True))


def test_tls_with_callers_may_listen_anywhere(tmp_path: Path) -> None:
    pem = tmp_path / "some.pem"
    pem.write_text("-----")
    tls = {"certificate": str(pem), "private_key": str(pem)}
    server = {"grpc": ["0.0.0.0:50051"], "tls": tls}

    assert config(server=server, callers=[ORDERS])
    assert [
        "callers: at least one is required, 0.0.0.0:50051 is off loopback (or --insecure)"
    ] == mistakes_in(server=server)


# --- WECOM_BROKER_LOG_LEVEL


@pytest.mark.parametrize("level", ["debug", "DEBUG", "Warning", "error"])
def test_the_environment_overrides_the_log_level(monkeypatch: pytest.MonkeyPatch, level: str) -> None:
    monkeypatch.setenv("WECOM_BROKER_LOG_LEVEL", level)

    assert level.lower() == config(log={"level": "info", "format": "json"}).log.level
    assert "json" == config(log={"format": "json"}).log.format
    assert level.lower() == config().log.level


def test_an_empty_variable_overrides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WECOM_BROKER_LOG_LEVEL", "")

    assert "error" == config(log={"level": "error"}).log.level


def test_a_wrong_level_in_the_environment_is_told_by_the_variable_s_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WECOM_BROKER_LOG_LEVEL", "loud")

    assert {"WECOM_BROKER_LOG_LEVEL"} == keys_of(mistakes_in())


@pytest.mark.parametrize("log", [3, "x", [], True])
def test_a_level_in_the_environment_does_not_trip_over_a_bad_table(
    monkeypatch: pytest.MonkeyPatch, log: object
) -> None:
    monkeypatch.setenv("WECOM_BROKER_LOG_LEVEL", "debug")

    assert ["log: must be a table"] == mistakes_in(log=log)


# --- the file


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "broker.toml"
    path.write_text(to_toml({"apps": [CRM]}))

    assert "crm" == load_config(path).apps[0].name


def test_broken_toml_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "broker.toml"
    path.write_text('[server]\nhttp = "127.0.0.1:8080\n')

    with pytest.raises(ConfigError) as refused:
        load_config(path)
    assert str(path) in str(refused.value)
    assert "line 2" in str(refused.value)


def test_broken_toml_does_not_show_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "broker.toml"
    path.write_text(f'[[apps]]\nsecret = "{MARKER}\n')

    with pytest.raises(ConfigError) as refused:
        load_config(path)
    assert MARKER not in str(refused.value)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda path: None, "No such file or directory"),
        (lambda path: path.mkdir(), "Is a directory"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, make: Any, problem: str) -> None:
    path = tmp_path / "broker.toml"
    make(path)

    with pytest.raises(ConfigError) as refused:
        load_config(path)
    assert [f"{path}: cannot be read: {problem}"] == refused.value.problems


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig"], ids=["without a byte order mark", "with a byte order mark"]
)
def test_a_file_is_utf_8_with_or_without_a_mark(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "broker.toml"
    path.write_text("# 企业微信\r\n" + to_toml({"apps": [CRM]}), encoding=encoding)

    assert "crm" == load_config(path).apps[0].name


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ("[log]".encode("utf-16"), "is UTF-16; save it as UTF-8"),
        ("[log]".encode("utf-16-le"), "is UTF-16; save it as UTF-8"),
        (codecs.BOM_UTF16_BE + "[log]".encode("utf-16-be"), "is UTF-16; save it as UTF-8"),
        ("# 企业微信".encode("gb18030"), "is not UTF-8"),
    ],
)
def test_a_file_in_another_encoding_says_so(tmp_path: Path, raw: bytes, problem: str) -> None:
    path = tmp_path / "broker.toml"
    path.write_bytes(raw)

    with pytest.raises(ConfigError) as refused:
        load_config(path)
    assert [f"{path}: {problem}"] == refused.value.problems


def test_an_empty_file_only_lacks_an_app(tmp_path: Path) -> None:
    path = tmp_path / "broker.toml"
    path.write_text("")

    with pytest.raises(ConfigError) as refused:
        load_config(path)
    assert ["apps: at least one app is required"] == refused.value.problems


# --- no secret in any error


def _full() -> dict[str, Any]:
    return {
        "server": {"grpc": ["127.0.0.1:1"], "http": "127.0.0.1:2", "workers": 1, "drain_seconds": 1},
        "store": {
            "url": f"redis://user:{MARKER}@127.0.0.1:6379",
            "prefix": "p",
            "seal_keys": [{"id": "k1", "key": MARKER}, {"id": "k1", "key": SEAL_KEY}],
        },
        "wecom": {"api_base": "https://h", "timeout_seconds": 5},
        "log": {"level": "info", "format": "json"},
        "refresh": {"advisory": 0.5, "cooldown_seconds": 1},
        "apps": [
            {
                **CRM,
                "secret": MARKER,
                "kind": "self_built",
                "share_kinds": ["corp_group"],
                "callback": {"token": MARKER, "aes_key": MARKER, "max_age_seconds": 5},
            },
            {**CRM, "secret": MARKER, "callback": {"token": f"{MARKER}!", "aes_key": AES_KEY}},
            {
                "name": "tailored",
                "kind": "customized",
                "suite_id": "dk1",
                "suite_secret": MARKER,
                "provider": "acme",
                "callback": {"token": MARKER, "aes_key": MARKER},
                "corp_callbacks": {"wp1": {"token": MARKER, "aes_key": AES_KEY}},
            },
        ],
        "providers": [{"name": "acme", "corp_id": "ww2", "secret": MARKER}],
        "callers": [ORDERS, ORDERS],
    }


def _places(given_: object, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = (
        given_.items() if isinstance(given_, dict) else enumerate(given_) if isinstance(given_, list) else ()
    )
    return [way, *(place for name, part in inner for place in _places(part, (*way, name)))]


def _with(given_: Any, way: tuple[Any, ...], value: object) -> Any:
    if not way:
        return value
    copied = dict(given_) if isinstance(given_, dict) else list(given_)
    copied[way[0]] = _with(given_[way[0]], way[1:], value)
    return copied


PLACES = [way for way in _places(_full()) if way]
WRONG = [
    3,
    -1,
    "",
    "x y",
    [],
    {},
    [MARKER],
    {"a": MARKER},
    f"{MARKER}\0",
    f"http://[{MARKER}",
    f"redis://{MARKER}:{MARKER}",
]


@pytest.mark.parametrize("way", PLACES, ids=lambda way: ".".join(map(str, way)))
def test_no_mistake_anywhere_shows_a_secret(way: tuple[Any, ...]) -> None:
    for wrong in WRONG:
        told = mistakes(_with(_full(), way, wrong))

        assert told
        assert MARKER not in "\n".join(told)


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=8), inner, max_size=2)
    ),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from([*DEFAULTS, "apps", "callers", "x"]), json_values))
def test_whatever_a_file_holds_it_is_a_configuration_or_a_list_of_mistakes(given_: dict[str, Any]) -> None:
    assert mistakes({**given_, "apps": given_.get("apps", [])})


@given(st.sampled_from(PLACES), json_values)
def test_whatever_a_key_holds_it_is_right_or_a_mistake(way: tuple[Any, ...], value: object) -> None:
    told = mistakes(_with(_full(), way, value))

    assert MARKER not in "\n".join(told)

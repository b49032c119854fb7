"""Which keys a reload takes over: the code and the page say the same of every key."""

import re

import pytest

from broker.config.load import parse_config
from broker.config.reloading.restart import LIVE, keys, restart_needed
from broker.config.schema import Config
from tests.architecture.pages.documents import ROOT

APP = {"name": "crm", "corp_id": "ww0123456789abcdef", "secret": "s3cret"}
PAGE = (ROOT / "docs/configuration.md").read_text()
OTHER = {
    "server": {"drain_seconds": 3},
    "console": {"listen": "127.0.0.1:8082"},
    "store": {"prefix": "other"},
    "wecom": {"timeout_seconds": 3},
    "log": {"format": "json"},
    "refresh": {"advisory": 0.5},
    "events": {"max_tries": 3},
    "audit": {"file": "stdout"},
}


def row(ending: str) -> set[str]:
    found = re.search(rf"^\| (.*) \| {ending} \|$", PAGE, re.MULTILINE)
    assert found
    return set(re.findall(r"`([a-z_.]+)`", found[1]))


def test_the_page_says_of_every_key_whether_it_is_live():
    live, restart = row("live"), row("taken at a restart")
    assert live == LIVE
    for key, _ in keys(parse_config({"apps": [APP]})):
        named = {key, key.partition(".")[0]}
        assert bool(named & live) != bool(named & restart), key


@pytest.mark.parametrize("table", OTHER)
def test_a_change_that_waits_for_a_restart_is_named_by_key(table: str):
    running = parse_config({"apps": [APP]})
    changed = parse_config({"apps": [APP], table: OTHER[table]})

    assert [f"{table}.{next(iter(OTHER[table]))}"] == restart_needed(running, changed)


def test_live_changes_need_no_restart():
    running = parse_config({"apps": [APP]})
    changed = parse_config({"apps": [{**APP, "secret": "other"}], "log": {"level": "debug"}})

    assert [] == restart_needed(running, changed)


@pytest.mark.parametrize(("streams", "waits"), [(1000, []), (500, []), (1001, ["callers.limits"])])
def test_limits_are_live_up_to_what_a_connection_carries(streams: int, waits: list[str]):
    def config(most: int) -> Config:
        caller = {"name": "shop", "token_sha256": "0" * 64, "limits": {"streams": most}}
        return parse_config({"apps": [APP], "callers": [caller]})

    assert waits == restart_needed(config(1000), config(streams))


@pytest.mark.parametrize(
    ("proxy", "waits"),
    [
        ("http://user:new@h:3128", []),
        ("http://other:old@h:3128/", []),
        ("http://h:3128", []),
        ("http://user:old@g:3128", ["wecom.proxy"]),
        ("http://user:old@h:3129", ["wecom.proxy"]),
        (None, ["wecom.proxy"]),
    ],
)
def test_another_login_at_the_proxy_needs_no_restart_and_another_proxy_does(
    proxy: str | None, waits: list[str]
):
    running = parse_config({"apps": [APP], "wecom": {"proxy": "http://user:old@h:3128"}})
    changed = parse_config({"apps": [APP], "wecom": {"proxy": proxy} if proxy else {}})

    assert waits == restart_needed(running, changed)


@pytest.mark.parametrize(
    ("url", "waits"),
    [("redis://user:new@h", []), ("redis://other:old@h", []), ("redis://user:old@g", ["store.url"])],
)
def test_another_login_of_the_store_needs_no_restart_and_another_place_does(url: str, waits: list[str]):
    seal_keys = [{"id": "k1", "key": "A" * 43 + "="}]
    running = parse_config({"apps": [APP], "store": {"url": "redis://user:old@h", "seal_keys": seal_keys}})
    changed = parse_config({"apps": [APP], "store": {"url": url, "seal_keys": seal_keys}})

    assert waits == restart_needed(running, changed)

"""The keys of callbacks and events: their defaults, their bounds, and mistakes told without a secret."""

from datetime import timedelta
from typing import Any

import pytest

from broker.config import mapping
from broker.config.load import ConfigError, parse_config
from broker.config.schema import Config
from broker.domain.events.log import Retention

KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
CALLBACK = {"token": "QDG6eK", "aes_key": KEY}
CRM = {"name": "crm", "corp_id": "ww0parent", "agent_id": 1000002, "secret": "a-secret"}


def config(callback: object = CALLBACK, **tables: Any) -> Config:
    return parse_config({"apps": [{**CRM, "callback": callback}], **tables})


def mistakes(callback: object = CALLBACK, **tables: Any) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        config(callback, **tables)
    return refused.value.problems


def keys_of(problems: list[str]) -> list[str]:
    return [problem.partition(": ")[0] for problem in problems]


def test_a_callback_has_its_defaults() -> None:
    settings = mapping.callbacks(config())["crm"]

    assert timedelta(minutes=10) == settings.max_age
    assert (True, False) == (settings.accept_child_receive_id, settings.check_sender)
    assert not settings.accept_empty_receive_id


@pytest.mark.parametrize("given", [True, False])
def test_a_callback_may_be_sealed_for_nobody_where_that_is_said(given: bool) -> None:
    settings = mapping.callbacks(config({**CALLBACK, "accept_empty_receive_id": given}))["crm"]

    assert given == settings.accept_empty_receive_id


def test_an_app_without_a_callback_has_none() -> None:
    assert {} == mapping.callbacks(parse_config({"apps": [CRM]}))


@pytest.mark.parametrize(("seconds", "age"), [(0, None), (0.0, None), (1, 1), (0.5, 0.5), (10**9, 10**9)])
def test_zero_turns_the_bound_of_timestamps_off(seconds: float, age: float | None) -> None:
    settings = mapping.callbacks(config({**CALLBACK, "max_age_seconds": seconds}))["crm"]

    assert (timedelta(seconds=age) if age else None) == settings.max_age


@pytest.mark.parametrize("key", ["A" * 43, "A" * 42 + "B", "A" * 42 + "/", "+/" * 21 + "9", KEY])
def test_every_encoding_aes_key_of_a_console_is_taken_spare_bits_too(key: str) -> None:
    assert 32 == len(mapping.callbacks(config({**CALLBACK, "aes_key": key}))["crm"].keys.aes_key)


@pytest.mark.parametrize(
    "key",
    ["", "A" * 42, "A" * 44, "A" * 42 + "=", "A" * 43 + "\n=", "A" * 42 + "-", "A" * 42 + "Ａ", " " * 43, 7],
)
def test_an_illegal_encoding_aes_key_is_refused_and_not_told(key: Any) -> None:
    problems = mistakes({**CALLBACK, "aes_key": key})

    assert ["apps[0].callback.aes_key"] == keys_of(problems)
    assert not (isinstance(key, str) and key.strip() and key in problems[0])


@pytest.mark.parametrize("token", ["", "with space", "a" * 33, "dash-ed", "ｔｏｋｅｎ", "line\nbreak"])
def test_an_illegal_token_is_refused_and_not_told(token: str) -> None:
    problems = mistakes({**CALLBACK, "token": token})

    assert ["apps[0].callback.token"] == keys_of(problems)
    assert not (token and token in problems[0])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_age_seconds", -1),
        ("max_age_seconds", 10**9 + 1),
        ("max_age_seconds", float("inf")),
        ("max_age_seconds", float("nan")),
        ("max_age_seconds", "soon"),
        ("accept_child_receive_id", "perhaps"),
        ("accept_empty_receive_id", "perhaps"),
        ("check_sender", 2),
        ("max_age", 600),
    ],
)
def test_what_a_callback_cannot_be_is_told_by_its_key(name: str, value: object) -> None:
    assert [f"apps[0].callback.{name}"] == keys_of(mistakes({**CALLBACK, name: value}))


def test_secrets_may_come_from_the_environment_and_from_files(monkeypatch: Any, tmp_path: Any) -> None:
    monkeypatch.setenv("CALLBACK_TOKEN", "QDG6eK")
    (tmp_path / "key").write_text(KEY + "\n")
    callback = {"token": {"env": "CALLBACK_TOKEN"}, "aes_key": {"file": str(tmp_path / "key")}}

    assert mapping.callbacks(config()) == mapping.callbacks(config(callback))


def test_no_secret_shows_in_what_is_printed_of_the_configuration() -> None:
    for shown in (repr(config()), str(mapping.callbacks(config()))):
        assert "QDG6eK" not in shown
        assert KEY not in shown


# --- proxies


def test_by_default_no_proxy_is_trusted() -> None:
    assert [] == config().server.trusted_proxies


@pytest.mark.parametrize("proxy", ["10.0.0.1", "10.0.0.0/8", "2001:db8::/32", "::1", "0.0.0.0/0"])
def test_a_proxy_is_an_address_or_a_network(proxy: str) -> None:
    assert 1 == len(config(server={"trusted_proxies": [proxy]}).server.trusted_proxies)


@pytest.mark.parametrize(
    "proxy", ["", "proxy.example", "10.0.0.1/8", "10.0.0", "10.0.0.1:80", "10.0.0.0/33", "*"]
)
def test_what_is_no_network_is_told(proxy: str) -> None:
    problems = mistakes(server={"trusted_proxies": ["10.0.0.1", proxy]})

    assert ["server.trusted_proxies[1]"] == keys_of(problems)


# --- events


def test_events_have_their_defaults() -> None:
    events = config().events

    assert Retention(timedelta(days=3), 100_000) == mapping.retention(config())
    assert (60, 10) == (events.ack_timeout_seconds, events.max_tries)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("retention_seconds", 59),
        ("retention_seconds", 90 * 86_400 + 1),
        ("retention_seconds", float("nan")),
        ("retention_count", 99),
        ("retention_count", 10_000_001),
        ("retention_count", 100.5),
        ("ack_timeout_seconds", 0.5),
        ("ack_timeout_seconds", float("inf")),
        ("max_tries", 0),
        ("max_tries", 1001),
        ("retention", 1),
    ],
)
def test_what_events_cannot_be_is_told_by_its_key(name: str, value: object) -> None:
    assert [f"events.{name}"] == keys_of(mistakes(events={name: value}))


def test_all_mistakes_are_told_at_once() -> None:
    problems = mistakes({"token": "a b", "aes_key": "short", "max_age_seconds": -1}, events={"max_tries": 0})

    assert {
        "apps[0].callback.token",
        "apps[0].callback.aes_key",
        "apps[0].callback.max_age_seconds",
        "events.max_tries",
    } == set(keys_of(problems))

"""Each rule about addresses holds for every listener, whatever it serves."""

from dataclasses import replace
from typing import Any

import pytest

from broker.config.listening import addresses
from broker.config.listening.addresses import ListeningAddress, clear_text_addresses
from broker.config.load import ConfigError, parse_config
from broker.config.schema import Config

CRM: dict[str, Any] = {"name": "crm", "corp_id": "ww0parent", "agent_id": 1000002, "secret": "a-secret"}
ON_THE_WAY = "whoever is on the way reads tokens, and what proves the callers; set server.tls"
NEXT = ListeningAddress(
    "next.listen", "192.0.2.7:1", "next.tls", has_tls=False, serves_callers=True, risk="who reads what"
)


def parsed(insecure: bool = False, **server: Any) -> Config:
    return parse_config({"apps": [CRM], "server": server}, insecure=insecure)


def mistakes(**server: Any) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        parsed(**server)
    return refused.value.problems


@pytest.mark.parametrize("address", ["0.0.0.0:1", "192.0.2.7:1", "[::]:1", "broker.internal:1"])
def test_grpc_off_loopback_needs_tls_and_callers_and_insecure_is_warned_of(address: str) -> None:
    assert [
        f"server.grpc[1]: {address} is off loopback and needs server.tls (or --insecure)",
        f"callers: at least one is required, {address} is off loopback (or --insecure)",
    ] == mistakes(grpc=["127.0.0.1:0", address])
    assert [f"server.grpc[0]: {address} is off loopback, without TLS: {ON_THE_WAY}"] == [
        *clear_text_addresses(parsed(insecure=True, grpc=[address]))
    ]


def test_http_off_loopback_is_warned_of_for_a_proxy_has_its_tls() -> None:
    (warning,) = clear_text_addresses(parsed(http="0.0.0.0:8080"))

    assert warning.startswith("server.http: 0.0.0.0:8080 is off loopback, without TLS: whoever reaches it")


def test_the_rules_hold_for_a_listener_that_is_added(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever comes beside gRPC and HTTP is one more entry in the list."""
    present = addresses.listening_addresses
    added = [NEXT]
    monkeypatch.setattr(addresses, "listening_addresses", lambda config: [*present(config), *added])

    assert [
        "next.listen: 192.0.2.7:1 is off loopback and needs next.tls (or --insecure)",
        "callers: at least one is required, 192.0.2.7:1 is off loopback (or --insecure)",
    ] == mistakes()
    added[:] = [replace(NEXT, address="127.0.0.1:8080")]
    assert ["next.listen: 127.0.0.1:8080 is the address of server.http already"] == mistakes()
    added[:] = [replace(NEXT, has_tls=True)]
    assert ["callers"] == [problem.partition(":")[0] for problem in mistakes()]


@pytest.mark.parametrize(
    ("server", "problem"),
    [
        (
            {"grpc": ["127.0.0.1:8080"]},
            "server.http: 127.0.0.1:8080 is the address of server.grpc[0] already",
        ),
        (
            {"grpc": ["127.0.0.1:1", {"address": "127.0.0.1:1"}]},
            "server.grpc[1]: 127.0.0.1:1 is the address of server.grpc[0] already",
        ),
        (
            {"grpc": ["unix:///b.sock"], "http": "unix:///b.sock"},
            "server.http: unix:///b.sock is the address of server.grpc[0] already",
        ),
    ],
)
def test_one_address_is_one_listener_s(server: dict[str, Any], problem: str) -> None:
    assert [problem] == mistakes(**server)


def test_ports_that_the_system_chooses_do_not_clash() -> None:
    assert parsed(grpc=["127.0.0.1:0", "127.0.0.1:0"], http="127.0.0.1:0")


def test_no_socket_file_is_shared_by_workers() -> None:
    """A second process would take it from the first without a word."""
    with pytest.raises(ConfigError) as refused:
        parse_config(
            {
                "apps": [CRM],
                "server": {"http": "unix:///h.sock", "workers": 2},
                "store": {"url": "redis://r", "seal_keys": [{"id": "k1", "key": "A" * 43 + "="}]},
            }
        )

    assert [
        "server.http: a socket file serves one process; use host:port with more workers"
    ] == refused.value.problems

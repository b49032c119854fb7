"""A bearer token leaves the machine only through TLS, unless its owner says otherwise."""

from __future__ import annotations

import pytest
import wecom_broker.sync
from wecom_broker import Broker, Tls

TOKEN = "hush"
HERE = [
    "127.0.0.1:50051",
    "127.8.8.8:50051",
    "localhost:50051",
    "dns:///localhost:50051",
    "dns:127.0.0.1:50051",
    "[::1]:50051",
    "ipv6:[::1]:50051",
    "ipv4:127.0.0.1:1,127.0.0.2:2",
    "unix:///run/wecom-broker/broker.sock",
    "unix:broker.sock",
]
ELSEWHERE = [
    "broker:50051",
    "10.0.0.7:50051",
    "dns:///wecom-broker:50051",
    "dns://127.0.0.1/wecom-broker:50051",
    "dns://8.8.8.8/localhost:50051",
    "localhost.example.org:50051",
    "127.0.0.1.example.org:50051",
    "0.0.0.0:50051",
    "[2001:db8::1]:50051",
    "ipv4:127.0.0.1:1,10.0.0.7:2",
    "ipv6:[2001:db8::1]:1",
    "xds:///broker",
    "broker",
]


@pytest.mark.parametrize("target", HERE)
def test_a_token_may_go_to_this_machine(target: str) -> None:
    Broker(target, token=TOKEN)


@pytest.mark.parametrize("target", ELSEWHERE)
def test_a_token_is_not_sent_elsewhere_without_tls(target: str) -> None:
    for given in (TOKEN, lambda: TOKEN):
        with pytest.raises(ValueError, match="without TLS: pass tls=Tls") as refused:
            Broker(target, token=given)
        assert TOKEN not in str(refused.value)
    with pytest.raises(ValueError, match="without TLS"):
        wecom_broker.sync.Broker(target, token=TOKEN)


@pytest.mark.parametrize("target", ELSEWHERE)
def test_it_is_with_tls_or_where_its_owner_says_so_and_without_a_token_nothing_is_asked(target: str) -> None:
    Broker(target, token=TOKEN, tls=Tls())
    Broker(target, token=TOKEN, allow_plaintext_token=True)
    Broker(target)


def test_a_proxy_of_the_environment_is_another_machine() -> None:
    with pytest.raises(ValueError, match="without TLS"):
        Broker("127.0.0.1:50051", token=TOKEN, trust_env=True)
    Broker("unix:broker.sock", token=TOKEN, trust_env=True)

"""Who sent a request: `X-Forwarded-For` is believed as far as trusted proxies wrote it, and no further."""

import pytest

from broker.server.http.forwarded import Forwarded

PROXIES = ("10.0.0.0/8", "192.0.2.7/32", "2001:db8:aa::/48")
WECOM, STRANGER = "101.226.103.9", "203.0.113.66"


def sender(peer: str, *headers: str, trusted: tuple[str, ...] = PROXIES) -> str:
    return Forwarded(trusted).sender(peer, headers)


@pytest.mark.parametrize("trusted", [(), PROXIES])
def test_without_a_header_it_is_the_peer(trusted: tuple[str, ...]) -> None:
    assert WECOM == sender(WECOM, trusted=trusted)
    assert "" == sender("", trusted=trusted)


@pytest.mark.parametrize("peer", [STRANGER, "::1", "", "unix", "10.0.0.1.example"])
def test_a_stranger_s_header_is_his_own_word(peer: str) -> None:
    assert peer == sender(peer, WECOM)


def test_where_nobody_is_trusted_no_header_is_believed() -> None:
    assert "10.0.0.1" == sender("10.0.0.1", WECOM, trusted=())


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ((WECOM,), WECOM),
        ((f" {WECOM} ",), WECOM),
        ((f"{WECOM}, 10.0.0.2",), WECOM),
        ((f"{WECOM},10.0.0.2 ,\t10.0.0.3",), WECOM),
        ((WECOM, "10.0.0.2"), WECOM),
        (("10.0.0.2", WECOM), WECOM),
        ((f"{WECOM}, {STRANGER}",), STRANGER),
        ((f"{WECOM}, {STRANGER}, 10.0.0.2",), STRANGER),
        ((WECOM, STRANGER, "10.0.0.2"), STRANGER),
        ((f"10.0.0.9, {STRANGER}",), STRANGER),
        (("10.0.0.2, 10.0.0.3",), "10.0.0.2"),
        ((f"2001:db8::5, 2001:db8:aa::1, {PROXIES[1].removesuffix('/32')}",), "2001:db8::5"),
        ((f"{WECOM}, junk",), "junk"),
        ((f"{WECOM}, ",), ""),
        ((f"{WECOM}, 10.0.0.300",), "10.0.0.300"),
        ((f"{WECOM}, 010.0.0.1",), "010.0.0.1"),
        ((f"{WECOM}, 10.0.0.1:80",), "10.0.0.1:80"),
        ((f"{WECOM}, 167772161",), "167772161"),
        ((f"{WECOM}, 10.0.0.1\0",), "10.0.0.1\0"),
        (("",), ""),
    ],
)
def test_it_is_the_first_from_our_end_that_is_no_trusted_proxy(headers: tuple[str, ...], found: str) -> None:
    assert found == sender("10.0.0.1", *headers)


@pytest.mark.parametrize("proxy", ["::ffff:10.0.0.1", "::ffff:a00:1", "2001:db8:aa::1"])
def test_a_proxy_is_trusted_however_its_address_is_written(proxy: str) -> None:
    assert WECOM == sender(proxy, WECOM)
    assert WECOM == sender("10.0.0.1", f"{WECOM}, {proxy}")


@pytest.mark.parametrize("peer", ["::ffff:203.0.113.66", "64:ff9b::a00:1", "2002:a00:1::", "::a00:1"])
def test_an_address_that_only_holds_a_trusted_one_is_not_trusted(peer: str) -> None:
    assert peer == sender(peer, WECOM)


def test_a_long_chain_of_proxies_ends() -> None:
    assert "10.0.0.1" == sender("10.0.0.1", ",".join(["10.0.0.1"] * 10_000))

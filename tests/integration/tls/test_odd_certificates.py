"""Certificates that look like a caller's over a real connection: a name counts to its last byte."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from broker.app import running_broker
from tests.integration.access.doors import BY_DNS, BY_SPIFFE, MAIL, ORDERS, UNKNOWN, door, said
from tests.kit.memory.fake_clock import FakeClock
from tests.kit.processes.certificates import Authority
from tests.kit.processes.fleet import refused


def dns(*names: str) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.DNSName(name) for name in names])


def uri(*names: str) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.UniformResourceIdentifier(name) for name in names])


def raw(der: bytes) -> x509.UnrecognizedExtension:
    return x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, der)


ODD: Sequence[x509.ExtensionType | None] = [
    None,
    dns(f"{MAIL}\0.attacker.example"),
    dns(f"{MAIL}\0"),
    dns("www.example", f"{MAIL}\0.attacker.example"),
    dns(MAIL.upper()),
    dns(f"{MAIL}."),
    dns("*.svc"),
    dns(ORDERS),
    uri(f"{ORDERS}\0.attacker.example"),
    uri(f"{ORDERS}\0/x"),
    uri(f"{ORDERS}/"),
    uri(ORDERS.upper()),
    uri("spiffe://attacker.example/x", ORDERS),
    uri(f"dns:{MAIL}"),
    x509.SubjectAlternativeName([x509.RFC822Name(MAIL)]),
    raw(b"\x30\x0c\x82\x0am\xe4il.svc\xff\xfe"),
    raw(b"\x30\x0a\x0c\x08mail.svc"),
]


async def test_no_odd_name_is_a_caller_s(tmp_path: Path) -> None:
    async with door(tmp_path, [BY_SPIFFE, BY_DNS]) as tls:
        for names in ODD:
            pair = tls.authority.sign_names(names, common_name=MAIL)
            async with tls.enter(pair) as replica:
                refusal = await refused(replica.token(timeout=10))
                # BoringSSL refuses some of these itself, so that there is no connection at all.
                assert said(refusal) == UNKNOWN or refusal.code is grpc.StatusCode.UNAVAILABLE, names


async def test_an_expired_certificate_and_one_of_another_authority_get_no_connection(tmp_path: Path) -> None:
    async with door(tmp_path, [BY_SPIFFE]) as tls:
        expired = tls.authority.sign(uri=ORDERS, lasts=timedelta(minutes=-1))
        foreign = Authority().sign(uri=ORDERS)
        for pair in (expired, foreign):
            async with tls.enter(pair) as replica:
                assert grpc.StatusCode.UNAVAILABLE is (await refused(replica.token(timeout=5))).code


async def test_a_certificate_that_expires_while_its_connection_lasts_is_refused_at_the_next_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock(datetime.now(UTC))
    identity = running_broker.Identity
    monkeypatch.setattr(running_broker, "Identity", lambda policy, _, **more: identity(policy, clock, **more))
    async with door(tmp_path, [BY_SPIFFE]) as tls, tls.enter(tls.authority.sign(uri=ORDERS)) as replica:
        assert await replica.token()

        await clock.advance(timedelta(days=1, minutes=1))

        assert said(await refused(replica.token())) == UNKNOWN

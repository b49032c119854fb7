"""Who calls: recognised by the client certificate's name or by a bearer token, and by nothing else."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtensionOID, NameOID

from broker.adapters.system import SystemClock
from broker.domain.access import ANYONE, Caller
from broker.domain.caller_policy import CallerPolicy
from broker.domain.errors import Unauthenticated
from broker.server.grpc.entry.identity import Identity
from tests.kit.memory.fake_clock import FakeClock
from tests.kit.processes.certificates import Authority, Pair
from tests.unit.server.fakes import Context, bearer

AUTHORITY = Authority()
TOKEN = "the-bearer-token-of-orders"


def dns(name: str) -> x509.DNSName:
    return x509.DNSName(name)


def uri(name: str) -> x509.UniformResourceIdentifier:
    return x509.UniformResourceIdentifier(name)


def raw(der: bytes) -> x509.UnrecognizedExtension:
    return x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, der)


def hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


ORDERS = Caller("orders", token_sha256=hashed(TOKEN))
REPORTS = Caller("reports", token_sha256=hashed("another-token"))
MAIL = Caller("mail", identity="spiffe://example.org/mail")
STOCK = Caller("stock", identity="dns:stock.svc")
ALL = CallerPolicy((ORDERS, REPORTS, MAIL, STOCK))


def caller(context: Context, policy: CallerPolicy = ALL) -> Caller:
    return Identity(policy, SystemClock()).of(context)  # type: ignore[arg-type]


def refuses(context: Context, policy: CallerPolicy = ALL) -> str:
    with pytest.raises(Unauthenticated) as refused:
        caller(context, policy)
    return str(refused.value)


def test_a_broker_without_callers_knows_nobody_and_asks_nobody() -> None:
    assert ANYONE is caller(Context(), CallerPolicy())
    assert ANYONE is caller(bearer("whatever"), CallerPolicy())


def test_a_bearer_token_is_its_caller_s() -> None:
    assert ORDERS is caller(bearer(TOKEN))
    assert REPORTS is caller(bearer("another-token"))


@pytest.mark.parametrize("header", [f"bearer {TOKEN}", f"BEARER {TOKEN}", f"Bearer  {TOKEN} "])
def test_the_scheme_s_case_and_blanks_do_not_matter(header: str) -> None:
    assert ORDERS is caller(Context([("authorization", header)]))


def test_a_header_of_bytes_is_read_too() -> None:
    assert ORDERS is caller(Context([("authorization", f"Bearer {TOKEN}".encode())]))


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        TOKEN,
        f"Basic {TOKEN}",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN.upper()}",
        f"Bearer {hashed(TOKEN)}",
        f"Bearer\t{TOKEN}",
        "Bearer é企业",
        b"Bearer \xff\xfe",
        b"",
    ],
)
def test_any_other_header_is_refused_without_being_repeated(header: str | bytes) -> None:
    assert "the bearer token is not a known caller's" == refuses(Context([("authorization", header)]))


@pytest.mark.parametrize(
    "metadata", [None, (), [("user-agent", "x")], [("Authorization-Not", f"Bearer {TOKEN}")]]
)
def test_no_header_is_refused(metadata: list[tuple[str, str | bytes]] | None) -> None:
    assert "no known client certificate and no bearer token" == refuses(Context(metadata))


def test_a_refused_token_is_refused_again_and_a_known_one_known_again() -> None:
    door = Identity(ALL, SystemClock())
    for _ in range(3):
        assert ORDERS is door.of(bearer(TOKEN))  # type: ignore[arg-type]
        with pytest.raises(Unauthenticated):
            door.of(bearer("wrong"))  # type: ignore[arg-type]


def test_every_configured_token_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []
    compare = hmac.compare_digest

    def noted(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", noted)
    caller(bearer(TOKEN))
    refuses(bearer("wrong"))

    assert 4 == len(compared)
    assert {64} == {len(side) for pair in compared for side in pair}


def test_headers_are_remembered_only_within_bounds() -> None:
    door = Identity(CallerPolicy((ORDERS,)), SystemClock())
    for blanks in range(50):
        assert ORDERS is door.of(Context([("authorization", f"Bearer {' ' * blanks}{TOKEN}")]))  # type: ignore[arg-type]

    assert 4 == len(door._proved)


def test_the_spellings_of_one_caller_take_nobody_elses_place() -> None:
    door = Identity(CallerPolicy((ORDERS, REPORTS)), SystemClock())
    for blanks in range(50):
        door.of(Context([("authorization", f"Bearer {' ' * blanks}{TOKEN}")]))  # type: ignore[arg-type]
    others = bearer("another-token")

    assert REPORTS is door.of(others)  # type: ignore[arg-type]
    assert REPORTS is door.known(others.invocation_metadata())


def test_what_is_no_text_is_no_token() -> None:
    assert "bearer" in refuses(Context([("authorization", "Bearer \udcff\udcfe")]))


def presenting(pair: Pair) -> Context:
    """Return the context of a call by whoever has this certificate."""
    return Context(auth={"x509_pem_cert": [pair.certificate], "transport_security_type": [b"ssl"]})


def named(*names: x509.GeneralName) -> Pair:
    return AUTHORITY.sign_names(x509.SubjectAlternativeName(names))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([uri("spiffe://example.org/mail")], MAIL),
        ([dns("stock.svc")], STOCK),
        ([dns("www.svc"), dns("stock.svc")], STOCK),
        ([uri("spiffe://example.org/mail"), dns("stock.svc")], MAIL),
        ([uri("spiffe://example.org/other"), dns("stock.svc")], STOCK),
    ],
    ids=str,
)
def test_a_certificate_is_its_caller_s(names: list[x509.GeneralName], expected: Caller) -> None:
    assert expected is caller(presenting(named(*names)))


@pytest.mark.parametrize(
    "names",
    [
        [],
        [uri("spiffe://example.org/mail\0.attacker.example")],
        [uri("spiffe://example.org/mail\0")],
        [uri("spiffe://example.org/mail/")],
        [uri("spiffe://example.org/mail/x")],
        [uri("spiffe://EXAMPLE.org/mail")],
        [uri("SPIFFE://example.org/mail")],
        [uri("spiffe://example.org/mail?x"), uri("spiffe://example.org/other")],
        [uri("spiffe://example.org/other"), uri("spiffe://example.org/mail")],
        [uri("spiffe://example.org/mail"), uri("spiffe://example.org/other")],
        [uri("dns:stock.svc")],
        [uri("https://example.org/?spiffe://example.org/mail")],
        [dns("stock.svc\0.attacker.example")],
        [dns("stock.svc\0")],
        [dns("\0stock.svc")],
        [dns("STOCK.svc")],
        [dns("stock.svc.")],
        [dns(" stock.svc")],
        [dns("*.svc")],
        [dns("*")],
        [dns("spiffe://example.org/mail")],
        [dns("dns:stock.svc")],
        [x509.RFC822Name("stock.svc")],
        [x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stock.svc")]))],
        [x509.RegisteredID(x509.ObjectIdentifier("1.2.3"))],
        [x509.OtherName(x509.ObjectIdentifier("1.2.3"), b"\x0c\x09stock.svc")],
    ],
    ids=repr,
)
def test_any_other_name_in_a_certificate_is_nobody_s(names: list[x509.GeneralName]) -> None:
    refuses(presenting(named(*names)))


@pytest.mark.parametrize(
    "extension",
    [
        None,
        raw(b"\x30\x0d\x82\x0bst\xf6ck.svc\xff\xfe"),
        raw(b"\x30\x0b\x82\x0bstock.svc"),
        raw(b"\x30\x80\x82\x09stock.svc\x00\x00"),
        raw(b"\x30\x0b\x0c\x09stock.svc"),
        raw(b"\x30\x00"),
        raw(b""),
        raw(b"stock.svc"),
    ],
    ids=repr,
)
def test_a_damaged_list_of_names_is_nobody_s(extension: x509.ExtensionType | None) -> None:
    pair = AUTHORITY.sign_names(extension, common_name="stock.svc")

    refuses(presenting(pair))


def test_what_grpc_makes_of_the_names_does_not_count() -> None:
    context = presenting(named(dns("stock.svc\0.attacker.example")))
    context.auth = {**context.auth, "peer_dns": [b"stock.svc"], "peer_uri": [b"spiffe://example.org/mail"]}
    refuses(context)

    refuses(Context(auth={"peer_dns": [b"stock.svc"], "x509_common_name": [b"stock.svc"]}))
    refuses(Context(auth={"x509_pem_cert": [b"no certificate"], "peer_dns": [b"stock.svc"]}))
    refuses(Context(auth={"x509_pem_cert": []}))


async def test_a_certificate_is_refused_as_soon_as_it_has_expired() -> None:
    clock = FakeClock(datetime.now(UTC))
    identity = Identity(ALL, clock)
    context = presenting(named(dns("stock.svc")))
    assert STOCK is identity.of(context)  # type: ignore[arg-type]

    await clock.advance(timedelta(days=1, minutes=1))

    with pytest.raises(Unauthenticated, match="the client certificate expired at 20"):
        identity.of(context)  # type: ignore[arg-type]
    context.metadata = [("authorization", f"Bearer {TOKEN}")]
    assert ORDERS is identity.of(context)  # type: ignore[arg-type]


def test_certificates_are_read_once_and_kept_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.server.grpc.entry.identity.CERTIFICATES_KEPT", 3)
    identity = Identity(ALL, SystemClock())
    for _ in range(8):
        assert STOCK is identity.of(presenting(named(dns("stock.svc"))))  # type: ignore[arg-type]
        assert len(identity._certificates) <= 3


def test_an_unknown_certificate_may_come_with_a_known_token() -> None:
    context = presenting(named(uri("spiffe://example.org/unknown")))
    context.metadata = [("authorization", f"Bearer {TOKEN}")]

    assert ORDERS is caller(context)


def test_a_known_certificate_goes_before_a_token() -> None:
    context = presenting(named(dns("stock.svc")))
    context.metadata = [("authorization", "Bearer wrong")]

    assert STOCK is caller(context)


def test_a_certificate_is_judged_by_the_callers_of_now() -> None:
    policy = CallerPolicy((STOCK,))
    identity = Identity(policy, SystemClock())
    context = presenting(named(dns("stock.svc")))
    assert STOCK is identity.of(context)  # type: ignore[arg-type]

    policy.replace((MAIL,))

    with pytest.raises(Unauthenticated):
        identity.of(context)  # type: ignore[arg-type]


def test_everybody_on_a_socket_with_a_caller_is_that_caller_while_it_is_configured() -> None:
    policy = CallerPolicy((STOCK, ORDERS))
    identity = Identity(policy, SystemClock(), everybody="stock")

    assert STOCK is identity.of(Context())  # type: ignore[arg-type]
    assert STOCK is identity.of(bearer(TOKEN))  # type: ignore[arg-type]
    for callers in ((ORDERS,), ()):
        policy.replace(callers)
        with pytest.raises(Unauthenticated, match="the caller of this socket, stock, is no longer"):
            identity.of(Context())  # type: ignore[arg-type]

"""Who calls: recognised by the client certificate's name or by a bearer token, and by nothing else."""

import hashlib
import hmac

import pytest

from broker.domain.access import ANYONE, Caller
from broker.domain.caller_policy import CallerPolicy
from broker.domain.errors import Unauthenticated
from broker.server.grpc.access import Identity
from tests.unit.server.fakes import Context, bearer

TOKEN = "the-bearer-token-of-orders"


def hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


ORDERS = Caller("orders", token_sha256=hashed(TOKEN))
REPORTS = Caller("reports", token_sha256=hashed("another-token"))
MAIL = Caller("mail", identity="spiffe://example.org/mail")
STOCK = Caller("stock", identity="dns:stock.svc")
ALL = CallerPolicy((ORDERS, REPORTS, MAIL, STOCK))


def caller(context: Context, policy: CallerPolicy = ALL) -> Caller:
    return Identity(policy).of(context)  # type: ignore[arg-type]


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
    door = Identity(ALL)
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
    door = Identity(CallerPolicy((ORDERS,)))
    for blanks in range(50):
        assert ORDERS is door.of(Context([("authorization", f"Bearer {' ' * blanks}{TOKEN}")]))  # type: ignore[arg-type]

    assert 4 == len(door._proved)


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        ({"peer_uri": [b"spiffe://example.org/mail"]}, MAIL),
        ({"peer_uri": [b"spiffe://example.org/other", b"spiffe://example.org/mail"]}, MAIL),
        ({"peer_dns": [b"stock.svc"]}, STOCK),
        ({"peer_dns": [b"www.svc", b"stock.svc"]}, STOCK),
        ({"peer_uri": [b"spiffe://example.org/mail"], "peer_dns": [b"stock.svc"]}, MAIL),
    ],
)
def test_a_certificate_is_its_caller_s(auth: dict[str, list[bytes]], expected: Caller) -> None:
    assert expected is caller(Context(auth=auth))


@pytest.mark.parametrize(
    "auth",
    [
        {},
        {"peer_uri": []},
        {"peer_uri": [b"spiffe://example.org/mail/x"]},
        {"peer_uri": [b"spiffe://EXAMPLE.org/mail"]},
        {"peer_uri": [b"dns:stock.svc"], "x509_common_name": [b"stock.svc"]},
        {"peer_dns": [b"spiffe://example.org/mail"]},
        {"peer_dns": [b"*.svc"]},
        {"peer_dns": [b"\xff\xfe"]},
        {"x509_common_name": [b"stock.svc"], "x509_subject_alternative_name": [b"stock.svc"]},
    ],
    ids=str,
)
def test_any_other_name_in_a_certificate_is_nobody_s(auth: dict[str, list[bytes]]) -> None:
    refuses(Context(auth=auth))


def test_an_unknown_certificate_may_come_with_a_known_token() -> None:
    context = bearer(TOKEN)
    context.auth = {"peer_uri": [b"spiffe://example.org/unknown"]}

    assert ORDERS is caller(context)


def test_a_known_certificate_goes_before_a_token() -> None:
    context = bearer("wrong")
    context.auth = {"peer_dns": [b"stock.svc"]}

    assert STOCK is caller(context)

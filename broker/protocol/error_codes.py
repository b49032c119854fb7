"""WeCom's error codes, by who must act (wecom-api D, doc 90313). Never by `errmsg`: it changes."""

import re
from collections.abc import Mapping

from broker.domain.credentials import CredentialKind
from broker.domain.errors import (
    ApiNotAuthorized,
    AppDisabled,
    AppNotShared,
    BrokerError,
    CodeRejected,
    DataRejected,
    InvalidRequest,
    IpNotTrusted,
    RateLimited,
    ReauthorizationRequired,
    SecretRejected,
    SuiteTicketMissing,
    TokenRejected,
    WecomProtocol,
    WecomUnavailable,
)

CODES: dict[type[BrokerError], frozenset[int]] = {
    # R: refresh once, then retry once. An expiry may come as 40014 (wecom-api G4).
    TokenRejected: frozenset({40014, 40082, 42001, 42009}),
    # W: wait.
    WecomUnavailable: frozenset({-1, 6000, 2000111, 45035}),
    RateLimited: frozenset({45009, 45033, 45036}),
    # P: until somebody changes the configuration, here or at WeCom.
    SecretRejected: frozenset({40001, 40013, 40080, 40083, 40091, 45031, 2000002}),
    IpNotTrusted: frozenset({48009, 60020, 301042}),
    AppDisabled: frozenset(
        {*range(40133, 40142), 50003, 50006, 60031, 301007, 842002, 842003, 842005, 846000}
    ),
    ApiNotAuthorized: frozenset(
        {40086, 40208, 40209, 40210, 41057, 48001, 48002, 48003, 48005, 48006, 48007, 48008, 48010, 48011}
        | {50001, 50002, 60011, 80001, 85005, 85111, 95011, 95012, 301002, 610020, 610021, 610022}
        | {701008, 701051, 701056, 701057, 701058, 701099, 710000}
    ),
    # A: the corp must authorise again.
    ReauthorizationRequired: frozenset({40084, 48004}),
    # T: until the next suite_ticket.
    SuiteTicketMissing: frozenset({40085}),
    # C: the caller.
    CodeRejected: frozenset(
        {40029, 40077, 40078, 40207, 42003, 42007, 42022, 84014, 84015, *range(84019, 84025)}
    ),
    DataRejected: frozenset({42013}),
    AppNotShared: frozenset({670001, 670004}),
    InvalidRequest: frozenset(
        {40003, 40035, 40056, 40058, 40063, 40093, 40125, 42012, 46004, 60003, 60021, 60111, 60123, 60214}
        | {60221, 81013, 84005, 84025, 84090, 90207, 90208, 90210, 90211, 90212, 91040, 92002, 92003}
        | {710002, 710671, 710672, 842006, 846605, 846608}
        | {code for code in range(670002, 670036) if code != 670004}
    ),
    # Our fault: a request of the broker lacked something.
    WecomProtocol: frozenset({41001, 41002, 41004, 41008, 41011, 41021, 41022, 41023, 41024, 41025, 84054}),
}

CHECKED_FIRST: dict[CredentialKind, frozenset[int]] = {
    # Another kind's errcode says nothing about the token of the call (wecom-api D, 40014, 40082, 42009).
    CredentialKind.ACCESS_TOKEN: frozenset({40014, 42001}),
    CredentialKind.SUITE_TOKEN: CODES[TokenRejected] | CODES[SuiteTicketMissing],
    CredentialKind.PROVIDER_TOKEN: CODES[TokenRejected],
}
"""What WeCom answers to a dead token of that kind, before it looks at anything else."""

BY_CODE: dict[int, type[BrokerError]] = {code: kind for kind, codes in CODES.items() for code in codes}

_LARGEST = 2**31 - 1
"""An errcode is an int32 wherever it goes."""
_NUMBER = re.compile(r"-?[0-9]{1,10}")
_FROM_IP = re.compile(r"from ip:\s*([0-9A-Fa-f.:]{2,45})")
_HINT = re.compile(r"hint:\s*\[([A-Za-z0-9_.-]{1,64})\]")


def errcode_of(answer: Mapping[str, object]) -> int | None:
    """Return the answer's errcode: 0 where it has none (wecom-api G7), None where it is no number."""
    errcode = answer.get("errcode", 0)
    if isinstance(errcode, str) and _NUMBER.fullmatch(errcode):
        errcode = int(errcode)
    is_code = isinstance(errcode, int) and not isinstance(errcode, bool) and abs(errcode) <= _LARGEST
    return errcode if is_code else None  # type: ignore[return-value]


def leaves_code_unread(errcode: int, token: CredentialKind) -> bool:
    """Return whether the errcode shows that WeCom did not read the one-time code beside a token of that kind.

    WeCom checks the caller's address and the token first.
    """
    return errcode in CHECKED_FIRST.get(token, ()) or errcode in CODES[IpNotTrusted]


ANSWERED = "WeCom answered {endpoint} with errcode {errcode}"
"""The message of most errors, with gaps for two of their metadata."""


def error_of(endpoint: str, answer: Mapping[str, object], field: str = "request") -> BrokerError | None:
    """Return what the answer's errcode means; None for a success.

    `field` is what the caller gave for the call: if WeCom blames the caller, that field is at fault; without
    one, the broker is. An unknown code is never retried; its error carries endpoint and hint.
    """
    errcode = errcode_of(answer)
    if errcode is None:
        return WecomProtocol("WeCom's errcode is not a number", endpoint=endpoint)
    if errcode == 0:
        return None
    errmsg = str(answer.get("errmsg", ""))
    metadata = {"errcode": errcode, "endpoint": endpoint, "hint": _found(_HINT, errmsg)}
    kind = BY_CODE.get(errcode)
    if kind is None:
        return WecomProtocol(f"WeCom answered {endpoint} with the unknown errcode {errcode}", **metadata)
    if kind is InvalidRequest and not field:
        kind = WecomProtocol
    if kind is InvalidRequest:
        return InvalidRequest(field, ANSWERED.format_map(metadata), **metadata)
    if kind is IpNotTrusted:
        metadata["ip"] = _found(_FROM_IP, errmsg)
    return kind(ANSWERED.format_map(metadata), **metadata)


def _found(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    return match.group(1) if match else ""

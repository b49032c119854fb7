"""What each of WeCom's error codes means to the broker, code by code (wecom-api D)."""

import itertools
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    RetryLater,
    SecretRejected,
    SuiteTicketMissing,
    TokenRejected,
    WecomProtocol,
    WecomUnavailable,
)
from broker.protocol.error_codes import BY_CODE, CODES, error_of

REFERENCE = Path(__file__).parents[3] / "docs/wecom-api/errors-and-limits.md"
ENDPOINT = "/cgi-bin/corpgroup/corp/gettoken"

EXPECTED: dict[int, type[BrokerError]] = {
    -1: WecomUnavailable,
    6000: WecomUnavailable,
    40001: SecretRejected,
    40003: InvalidRequest,
    40013: SecretRejected,
    40014: TokenRejected,
    40029: CodeRejected,
    40035: InvalidRequest,
    40056: InvalidRequest,
    40058: InvalidRequest,
    40063: InvalidRequest,
    40077: CodeRejected,
    40078: CodeRejected,
    40080: SecretRejected,
    40082: TokenRejected,
    40083: SecretRejected,
    40084: ReauthorizationRequired,
    40085: SuiteTicketMissing,
    40086: ApiNotAuthorized,
    40091: SecretRejected,
    40093: InvalidRequest,
    40125: InvalidRequest,
    40133: AppDisabled,
    40134: AppDisabled,
    40135: AppDisabled,
    40136: AppDisabled,
    40137: AppDisabled,
    40138: AppDisabled,
    40139: AppDisabled,
    40140: AppDisabled,
    40141: AppDisabled,
    40207: CodeRejected,
    40208: ApiNotAuthorized,
    40209: ApiNotAuthorized,
    40210: ApiNotAuthorized,
    41001: WecomProtocol,
    41002: WecomProtocol,
    41004: WecomProtocol,
    41008: WecomProtocol,
    41011: WecomProtocol,
    41021: WecomProtocol,
    41022: WecomProtocol,
    41023: WecomProtocol,
    41024: WecomProtocol,
    41025: WecomProtocol,
    41057: ApiNotAuthorized,
    42001: TokenRejected,
    42003: CodeRejected,
    42007: CodeRejected,
    42009: TokenRejected,
    42012: InvalidRequest,
    42013: DataRejected,
    42022: CodeRejected,
    45009: RateLimited,
    45031: SecretRejected,
    45033: RateLimited,
    45035: WecomUnavailable,
    45036: RateLimited,
    46004: InvalidRequest,
    48001: ApiNotAuthorized,
    48002: ApiNotAuthorized,
    48003: ApiNotAuthorized,
    48004: ReauthorizationRequired,
    48005: ApiNotAuthorized,
    48006: ApiNotAuthorized,
    48007: ApiNotAuthorized,
    48008: ApiNotAuthorized,
    48009: IpNotTrusted,
    48010: ApiNotAuthorized,
    48011: ApiNotAuthorized,
    50001: ApiNotAuthorized,
    50002: ApiNotAuthorized,
    50003: AppDisabled,
    50006: AppDisabled,
    60003: InvalidRequest,
    60011: ApiNotAuthorized,
    60020: IpNotTrusted,
    60021: InvalidRequest,
    60031: AppDisabled,
    60111: InvalidRequest,
    60123: InvalidRequest,
    60214: InvalidRequest,
    60221: InvalidRequest,
    80001: ApiNotAuthorized,
    81013: InvalidRequest,
    84005: InvalidRequest,
    84014: CodeRejected,
    84015: CodeRejected,
    84019: CodeRejected,
    84020: CodeRejected,
    84021: CodeRejected,
    84022: CodeRejected,
    84023: CodeRejected,
    84024: CodeRejected,
    84025: InvalidRequest,
    84054: WecomProtocol,
    84090: InvalidRequest,
    85005: ApiNotAuthorized,
    85111: ApiNotAuthorized,
    90207: InvalidRequest,
    90208: InvalidRequest,
    90210: InvalidRequest,
    90211: InvalidRequest,
    90212: InvalidRequest,
    91040: InvalidRequest,
    92002: InvalidRequest,
    92003: InvalidRequest,
    95011: ApiNotAuthorized,
    95012: ApiNotAuthorized,
    301002: ApiNotAuthorized,
    301007: AppDisabled,
    301042: IpNotTrusted,
    610020: ApiNotAuthorized,
    610021: ApiNotAuthorized,
    610022: ApiNotAuthorized,
    670001: AppNotShared,
    670002: InvalidRequest,
    670003: InvalidRequest,
    670004: AppNotShared,
    **dict.fromkeys(range(670005, 670036), InvalidRequest),
    701008: ApiNotAuthorized,
    701051: ApiNotAuthorized,
    701056: ApiNotAuthorized,
    701057: ApiNotAuthorized,
    701058: ApiNotAuthorized,
    701099: ApiNotAuthorized,
    710000: ApiNotAuthorized,
    710002: InvalidRequest,
    710671: InvalidRequest,
    710672: InvalidRequest,
    842002: AppDisabled,
    842003: AppDisabled,
    842005: AppDisabled,
    842006: InvalidRequest,
    846000: AppDisabled,
    846605: InvalidRequest,
    846608: InvalidRequest,
    2000002: SecretRejected,
    2000111: WecomUnavailable,
}

ERRMSG = (
    "not allow to access from your ip, hint: [1767345678123456789012345], from ip: 203.0.113.7, "
    "more info at https://open.work.weixin.qq.com/devtool/query?e=60020"
)


def error(errcode: object, errmsg: object = "") -> BrokerError:
    found = error_of(ENDPOINT, {"errcode": errcode, "errmsg": errmsg})
    assert found is not None
    return found


@pytest.mark.parametrize(("errcode", "kind"), EXPECTED.items())
def test_each_code_means_what_the_table_says(errcode: int, kind: type[BrokerError]) -> None:
    found = error(errcode)

    assert kind is type(found)
    assert {"errcode": str(errcode), "endpoint": ENDPOINT}.items() <= found.metadata.items()


def test_the_table_has_no_other_codes() -> None:
    assert EXPECTED == BY_CODE


def test_each_code_of_the_reference_is_in_the_table() -> None:
    section = REFERENCE.read_text(encoding="utf-8").partition("## D. ")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if re.match(r"\| -?\d", line)]
    found = [
        re.fullmatch(r"(-?\d+)(?:-(\d+))?", part.strip()) for cell in cells for part in re.split("[/,]", cell)
    ]
    codes = {code for span in found if span for code in range(int(span[1]), int(span[2] or span[1]) + 1)}

    assert None not in found
    assert len(codes) > 150
    assert set() == codes - set(EXPECTED)


def test_no_code_means_two_things() -> None:
    doubled = [
        (one, other)
        for (one, codes), (other, more) in itertools.combinations(CODES.items(), 2)
        if codes & more
    ]

    assert [] == doubled


@pytest.mark.parametrize("errcode", [40001, 40013, 40091, 45031])
def test_a_refused_secret_is_never_taken_for_a_dead_token(errcode: int) -> None:
    assert not isinstance(error(errcode), RetryLater)


@pytest.mark.parametrize("errcode", [40014, 42001])
def test_both_codes_of_an_expired_token_mean_that_it_is_dead(errcode: int) -> None:
    assert isinstance(error(errcode), TokenRejected)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"access_token": "t", "expires_in": 7200},
        {"errcode": 0},
        {"errcode": "0"},
        {"errcode": 0, "errmsg": "ok"},
    ],
)
def test_zero_or_no_errcode_is_a_success(answer: dict[str, object]) -> None:
    assert None is error_of(ENDPOINT, answer)


def test_a_zero_is_a_success_whatever_the_errmsg_says() -> None:
    assert None is error_of(ENDPOINT, {"errcode": 0, "errmsg": "access_token expired"})


@pytest.mark.parametrize(("errcode", "kind"), [("42001", TokenRejected), ("-1", WecomUnavailable)])
def test_a_code_written_as_a_string_is_read(errcode: str, kind: type[BrokerError]) -> None:
    assert kind is type(error(errcode))


@pytest.mark.parametrize(
    "errcode",
    [
        True,
        False,
        None,
        0.0,
        40014.0,
        float("nan"),
        "",
        "-",
        "--1",
        "4 0014",
        "²",
        "４００１４",
        "ok",
        [],
        {},
        [0],
        2**31,
        -(2**31),
        10**300,
        "9" * 5000,
    ],
    ids=lambda errcode: repr(errcode)[:20],
)
def test_an_errcode_that_is_no_number_is_not_taken_for_a_success(errcode: object) -> None:
    found = error(errcode)

    assert WecomProtocol is type(found)
    assert {"endpoint": ENDPOINT} == found.metadata


@pytest.mark.parametrize("errcode", [1, 2, -2, 99999, 670036, 670000, 2**31 - 1])
def test_an_unknown_code_is_told_with_endpoint_and_hint_and_never_retried(errcode: int) -> None:
    found = error(errcode, ERRMSG)

    assert WecomProtocol is type(found)
    assert None is found.retry_after
    assert {
        "errcode": str(errcode),
        "endpoint": ENDPOINT,
        "hint": "1767345678123456789012345",
    } == found.metadata


@pytest.mark.parametrize(
    ("tail", "ip"),
    [
        ("from ip: 203.0.113.7, more info at https://…", "203.0.113.7"),
        ("from ip:203.0.113.7", "203.0.113.7"),
        ("from ip: 2001:db8::7, more info", "2001:db8::7"),
        ("from ip: ::ffff:203.0.113.7", "::ffff:203.0.113.7"),
    ],
)
@pytest.mark.parametrize("errcode", [60020, 48009, 301042])
def test_the_refused_address_is_read_from_the_errmsg_s_tail(errcode: int, tail: str, ip: str) -> None:
    assert ip == error(errcode, f"not allow to access from your ip, hint: [17], {tail}").metadata["ip"]


@pytest.mark.parametrize("errmsg", ["", "not allow", "from ip: ", "from ip: <script>", None, 5, ["from"]])
def test_without_an_address_in_the_errmsg_there_is_none_in_the_metadata(errmsg: object) -> None:
    found = error(60020, errmsg)

    assert IpNotTrusted is type(found)
    assert "ip" not in found.metadata


def test_only_a_refused_address_is_told_with_the_address() -> None:
    assert "ip" not in error(40001, ERRMSG).metadata


def test_no_word_of_the_errmsg_reaches_the_caller_but_hint_and_address() -> None:
    found = error(60020, "secret-of-wecom " + ERRMSG)

    assert "secret-of-wecom" not in str(found) + str(found.metadata)
    assert {"errcode", "endpoint", "hint", "ip"} == set(found.metadata)


def test_a_mistake_in_the_request_names_a_field() -> None:
    assert "request" == error(40058).metadata["field"]


codes = st.one_of(st.sampled_from(sorted(EXPECTED)), st.integers(-(2**40), 2**40))


@given(
    codes, st.one_of(st.text(), st.sampled_from([ERRMSG, "invalid credential", "access_token expired", "ok"]))
)
def test_the_errmsg_never_decides_what_an_error_is(errcode: int, errmsg: str) -> None:
    assert type(error_of(ENDPOINT, {"errcode": errcode})) is type(
        error_of(ENDPOINT, {"errcode": errcode, "errmsg": errmsg})
    )


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=6,
)
answers = st.dictionaries(
    st.one_of(st.sampled_from(["errcode", "errmsg", "access_token"]), st.text()), json_values, max_size=5
)


@given(answers)
def test_any_object_is_a_success_or_a_typed_error(answer: dict[str, Any]) -> None:
    found = error_of(ENDPOINT, answer)

    assert found is None or (found.reason and found.metadata["endpoint"] == ENDPOINT)
    assert found is not None or answer.get("errcode", 0) in (0, "0") or int(answer["errcode"]) == 0

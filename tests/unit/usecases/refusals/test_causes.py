"""One cause stands behind many refusals, and is told by labels that have few values."""

from datetime import timedelta

from broker.domain import errors
from broker.domain.credentials import CredentialKey
from broker.domain.errors import BrokerError
from broker.domain.remembered_errors import RememberedError
from broker.usecases.refusals.causes import Cause, count_causes
from tests.kit.memory.engine_world import CHILD, OWN
from tests.kit.memory.fake_clock import START

ENDPOINT = "/cgi-bin/gettoken"


def remembered(scope: CredentialKey | str, kind: type[BrokerError], **metadata: str) -> RememberedError:
    return RememberedError(
        scope=scope if isinstance(scope, str) else scope.name,
        fence=1,
        kind=kind,
        message="refused",
        metadata=metadata,
        until=START + timedelta(minutes=1),
        streak=0,
        fingerprint="",
    )


def test_credentials_that_one_cause_refuses_are_one_cause() -> None:
    told = {"errcode": "60020", "endpoint": ENDPOINT, "ip": "203.0.113.9"}
    found = [remembered(key, errors.IpNotTrusted, **told) for key in (OWN, CHILD)]

    assert {Cause("crm", "IP_NOT_TRUSTED", "60020", ENDPOINT, "203.0.113.9"): 2} == count_causes(
        found, {ENDPOINT}
    )


def test_a_closed_endpoint_is_no_single_app_s() -> None:
    found = remembered(f"limit:{ENDPOINT}:ww1", errors.RateLimited, errcode="45009", endpoint=ENDPOINT)

    assert {Cause("", "RATE_LIMITED", "45009", ENDPOINT, ""): 1} == count_causes([found], {ENDPOINT})


def test_an_endpoint_that_is_closed_to_one_app_is_that_app_s() -> None:
    found = remembered(f"limit:{ENDPOINT}:crm:ww1", errors.RateLimited, errcode="45009", endpoint=ENDPOINT)

    assert {Cause("crm", "RATE_LIMITED", "45009", ENDPOINT, ""): 1} == count_causes([found], {ENDPOINT})


def test_paths_that_callers_choose_are_one_value() -> None:
    found = [
        remembered(f"limit:/cgi-bin/{number}:ww1", errors.RateLimited, endpoint=f"/cgi-bin/{number}")
        for number in range(50)
    ]

    assert {Cause("", "RATE_LIMITED", "", "other", ""): 50} == count_causes(found, {ENDPOINT})


def test_outages_and_what_callers_did_wrong_are_no_refusals() -> None:
    found = [
        remembered(OWN, kind)
        for kind in (
            errors.WecomUnavailable,
            errors.WecomProtocol,
            errors.AppNotShared,
            errors.InvalidRequest,
        )
    ]

    assert {} == count_causes(found, {ENDPOINT})

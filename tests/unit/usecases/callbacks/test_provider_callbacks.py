"""A provider's system events: WeCom does not say for whom they are sealed, but they name the provider."""

import pytest

from broker.domain.errors import EnvelopeRejected
from tests.kit.callbacks.suite_samples import (
    CORP,
    MARKET_ID,
    PROVIDER_CORP,
    SAMPLES,
    TAILORED_ID,
    data,
    system,
)
from tests.kit.memory.engine_world import Replica, outcome
from tests.unit.usecases.callbacks.suite_desk import SuiteDesk

REFUND = system("license_refund", AuthCorpId=CORP)


@pytest.fixture
def desk(replica: Replica) -> SuiteDesk:
    return SuiteDesk(replica)


@pytest.mark.parametrize(
    ("receive_id", "form"),
    [
        (PROVIDER_CORP, "provider"),
        (MARKET_ID, "suite"),
        (TAILORED_ID, "suite"),
        (CORP, "authorized_corp"),
    ],
)
async def test_each_form_that_may_be_is_taken_and_counted(
    desk: SuiteDesk, receive_id: str, form: str
) -> None:
    event = await desk.post("acme", receive_id, REFUND)

    assert ("acme", CORP, "license_refund") == (event.app, event.corp_id, event.event_type)
    assert [form] == desk.forms


@pytest.mark.parametrize("receive_id", ["", "wpStranger", "ww-parent", PROVIDER_CORP.upper()])
async def test_what_is_sealed_for_another_is_refused(desk: SuiteDesk, receive_id: str) -> None:
    assert isinstance(await outcome(desk.post("acme", receive_id, REFUND)), EnvelopeRejected)
    assert isinstance(await outcome(desk.verify("acme", receive_id)), EnvelopeRejected)


@pytest.mark.parametrize(
    "xml",
    [
        REFUND.replace(PROVIDER_CORP, "ww5otherprovider0"),
        REFUND.replace("ServiceCorpId", "Somewhere"),
        SAMPLES[0].xml,
        data("change_app_admin"),
    ],
)
async def test_what_does_not_name_the_provider_is_refused(desk: SuiteDesk, xml: str) -> None:
    found = await outcome(desk.post("acme", PROVIDER_CORP, xml))

    assert isinstance(found, EnvelopeRejected)
    assert "receive_id" == found.problem


async def test_its_url_is_verified_for_its_corp(desk: SuiteDesk) -> None:
    assert b"1616140317555161061" == await desk.verify("acme", PROVIDER_CORP)


async def test_a_personal_subject_has_no_receiver(replica: Replica) -> None:
    desk = SuiteDesk(replica, accept_empty=True)

    assert await desk.verify("acme", "")
    assert CORP == (await desk.post("acme", "", REFUND)).corp_id

"""The URL of a 代开发 app at one client: only what is about that client is taken, however it is sealed."""

from dataclasses import replace

import pytest

from broker.domain.corps import ShareKind
from broker.domain.errors import EnvelopeRejected, InvalidRequest
from broker.domain.suites.authorization import AuthorizationState, AuthorizedAgent, SharedFrom
from broker.protocol.callbacks.envelope import open_sealed
from broker.protocol.callbacks.outside import read_envelope
from broker.usecases.callbacks.settings import ClientCallbacks
from tests.kit.callbacks.suite_samples import MARKET_ID, PROVIDER_CORP, SAMPLES, TAILORED_ID, data
from tests.kit.memory.engine_world import Replica, outcome
from tests.kit.memory.fake_suites import authorization
from tests.unit.usecases.callbacks.suite_desk import CLIENT, OTHER_CLIENT, REPLY, TAILORED, SuiteDesk, anybody

URL = f"tailored/{CLIENT}"
PLAIN = "wx5823bf96d3bd56c7"


@pytest.fixture
def desk(replica: Replica) -> SuiteDesk:
    desk = SuiteDesk(replica)
    desk.corps.put(authorization(TAILORED, CLIENT, 1000031), authorization(TAILORED, OTHER_CLIENT))
    return desk


def told(info_type: str, **fields: str) -> str:
    parts = "".join(f"<{name}>{value}</{name}>" for name, value in fields.items())
    return f"<xml><SuiteId>{TAILORED_ID}</SuiteId><InfoType>{info_type}</InfoType>{parts}</xml>"


async def refusal(desk: SuiteDesk, url: str, receive_id: str, xml: str) -> str:
    found = await outcome(desk.post(url, receive_id, xml))
    assert isinstance(found, EnvelopeRejected)
    return found.problem


@pytest.mark.parametrize(
    ("receive_id", "form"),
    [
        (CLIENT, "authorized_corp"),
        (TAILORED_ID, "suite"),
        (PROVIDER_CORP, "provider"),
        (PLAIN, "plain_corp"),
    ],
)
@pytest.mark.parametrize("named", [CLIENT, PLAIN, TAILORED_ID, PROVIDER_CORP])
async def test_the_client_s_messages_are_taken_in_each_form_that_was_seen(
    desk: SuiteDesk, receive_id: str, form: str, named: str
) -> None:
    assert b"1616140317555161061" == await desk.verify(URL, receive_id)
    event = await desk.post(URL, receive_id, data("enter_agent", named, "zhangsan"))

    assert ("tailored", CLIENT, "enter_agent") == (event.app, event.corp_id, event.event_type)
    assert (ShareKind.OWN, "zhangsan", False) == (event.share_kind, event.user_id, event.corp_unknown)
    assert [form, form] == desk.forms


@pytest.mark.parametrize("receive_id", ["", OTHER_CLIENT, CLIENT.lower(), MARKET_ID, "wpStranger", "dk0"])
async def test_what_is_sealed_for_another_is_refused(desk: SuiteDesk, receive_id: str) -> None:
    assert "receive_id" == await refusal(desk, URL, receive_id, data("enter_agent", CLIENT))
    assert isinstance(await outcome(desk.verify(URL, receive_id)), EnvelopeRejected)


async def test_a_plain_id_that_is_another_client_s_is_refused(desk: SuiteDesk) -> None:
    desk.corps.put(authorization(TAILORED, PLAIN))

    assert "receive_id" == await refusal(desk, URL, PLAIN, data("enter_agent", CLIENT))
    assert "receive_id" == await refusal(desk, URL, CLIENT, data("enter_agent", PLAIN))


async def test_a_message_about_another_client_is_refused(desk: SuiteDesk) -> None:
    for xml in (data("enter_agent", OTHER_CLIENT), told("change_contact", AuthCorpId=OTHER_CLIENT)):
        assert "receive_id" == await refusal(desk, URL, CLIENT, xml)


@pytest.mark.parametrize(
    "xml",
    [
        told("suite_ticket", SuiteTicket="forged"),
        told("create_auth", AuthCode="forged"),
        told("reset_permanent_code", AuthCode="forged"),
        told("cancel_auth", AuthCorpId=OTHER_CLIENT),
        told("change_contact", AuthCorpId=CLIENT).replace(TAILORED_ID, MARKET_ID),
        told("change_contact", AuthCorpId=CLIENT, ServiceCorpId="ww5otherprovider0"),
    ],
)
@pytest.mark.parametrize("receive_id", [TAILORED_ID, PROVIDER_CORP, CLIENT])
async def test_the_keys_of_a_client_open_nothing_that_concerns_others(
    desk: SuiteDesk, receive_id: str, xml: str
) -> None:
    assert "receive_id" == await refusal(desk, URL, receive_id, xml)


async def test_not_even_the_client_s_own_cancellation_counts_there(desk: SuiteDesk) -> None:
    signed, body = desk.sealed(URL, CLIENT, told("cancel_auth", AuthCorpId=CLIENT))
    event = await desk.external.open("tailored", signed, body, CLIENT, anybody)

    assert ("cancel_auth", CLIENT) == (event.event_type, event.corp_id)
    assert [] == desk.events.before


async def test_each_url_has_the_keys_of_its_client(desk: SuiteDesk) -> None:
    message = data("enter_agent", CLIENT)
    for url in ("tailored", f"tailored/{OTHER_CLIENT}"):
        signed, body = desk.sealed(url, CLIENT, message)
        found = await outcome(desk.external.open("tailored", signed, body, CLIENT, anybody))
        assert isinstance(found, EnvelopeRejected)
        assert "signature" == found.problem

    event = await desk.post(f"tailored/{OTHER_CLIENT}", OTHER_CLIENT, data("enter_agent", OTHER_CLIENT))
    assert OTHER_CLIENT == event.corp_id


async def test_an_unknown_client_is_taken_while_an_installation_is_open(desk: SuiteDesk) -> None:
    message = data("enter_agent", "wpNewClient")
    assert "receive_id" == await refusal(desk, "tailored/wpNewClient", "wpNewClient", message)

    desk.installations.open.add("tailored")
    event = await desk.post("tailored/wpNewClient", "wpNewClient", message)
    assert ("wpNewClient", True) == (event.corp_id, event.corp_unknown)


async def test_a_client_that_cancelled_is_refused(desk: SuiteDesk) -> None:
    desk.corps.end(TAILORED, CLIENT, AuthorizationState.CANCELLED)

    assert "receive_id" == await refusal(desk, URL, CLIENT, data("enter_agent", CLIENT))


async def test_a_child_with_an_authorisation_of_its_own_is_taken_at_its_parent(desk: SuiteDesk) -> None:
    shared = SharedFrom(CLIENT, ShareKind.CORP_GROUP)
    desk.corps.put(
        replace(authorization(TAILORED, "wpChild"), agents=(AuthorizedAgent(1000044, shared_from=shared),))
    )
    for receive_id, form in ((CLIENT, "authorized_corp"), ("wpChild", "child")):
        event = await desk.post(URL, receive_id, data("enter_agent", "wpChild"))

        assert ("wpChild", ShareKind.CORP_GROUP) == (event.corp_id, event.share_kind)
        assert form == desk.forms[-1]


async def test_the_share_events_of_a_client_are_followed(desk: SuiteDesk) -> None:
    signed, body = desk.sealed(URL, CLIENT, data("share_agent_change", CLIENT))
    await desk.external.open("tailored", signed, body, CLIENT, anybody)

    assert [("tailored", "share_agent_change", CLIENT)] == [
        (suite, event.event_type, event.corp_id) for suite, event in desk.events.after
    ]


async def test_the_template_has_a_url_of_its_own(desk: SuiteDesk) -> None:
    event = await desk.post("tailored", TAILORED_ID, SAMPLES[2].xml)

    assert ("tailored", "reset_permanent_code", "") == (event.app, event.event_type, event.corp_id)


async def test_a_reply_has_the_client_s_keys(desk: SuiteDesk) -> None:
    one = await desk.external.seal_reply("tailored", CLIENT, REPLY, "")
    other = await desk.external.seal_reply("tailored", OTHER_CLIENT, REPLY, "")

    for body, corp_id in ((one, CLIENT), (other, OTHER_CLIENT)):
        found = desk.clients.of(corp_id)
        assert found
        assert corp_id == open_sealed(found.keys, read_envelope(body).encrypted).receive_id


async def test_without_client_callbacks_there_is_no_url_and_the_template_s_keys_reply(
    replica: Replica,
) -> None:
    desk = SuiteDesk(replica, clients=ClientCallbacks(None, {}))
    desk.corps.put(authorization(TAILORED, CLIENT))

    with pytest.raises(InvalidRequest, match="has no callback"):
        desk.urls.find("tailored", CLIENT)
    body = await desk.external.seal_reply("tailored", CLIENT, REPLY, "")
    assert CLIENT == open_sealed(desk.settings["tailored"].keys, read_envelope(body).encrypted).receive_id

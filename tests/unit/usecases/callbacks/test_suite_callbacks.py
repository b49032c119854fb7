"""A suite's callbacks: for whom each may be sealed, whom it is about, and what a subscriber does not see."""

from dataclasses import replace
from datetime import timedelta
from xml.etree.ElementTree import fromstring

import pytest

from broker.domain.corps import ShareKind
from broker.domain.credentials import CredentialKey
from broker.domain.errors import (
    CallerNotAllowed,
    CorpNotAuthorized,
    EnvelopeRejected,
    InvalidRequest,
    StoreUnavailable,
    UnknownApp,
)
from broker.domain.suites.authorization import AuthorizationState, AuthorizedAgent, SharedFrom
from broker.protocol.callbacks.envelope import open_sealed
from broker.protocol.callbacks.outside import read_envelope
from broker.usecases.callbacks.decoder import Signed
from broker.usecases.callbacks.suite_corps import STORE_PATIENCE
from tests.kit.callbacks.suite_samples import (
    CODE,
    CORP,
    CUT_OUT,
    MARKET_ID,
    PARENT_CORP,
    PROVIDER_CORP,
    SAMPLES,
    TAILORED_ID,
    TICKET,
    Sample,
    command,
    data,
)
from tests.kit.memory.engine_world import EngineWorld, Replica, outcome
from tests.kit.memory.fake_suites import authorization
from tests.unit.usecases.callbacks.suite_desk import CLIENT, MARKET, REPLY, TAILORED, SuiteDesk, anybody

FORMS = {MARKET_ID: "suite", TAILORED_ID: "suite", PROVIDER_CORP: "provider", CORP: "authorized_corp"}
NAMES = [f"{number}-{sample.event_type}" for number, sample in enumerate(SAMPLES)]


@pytest.fixture
def desk(replica: Replica) -> SuiteDesk:
    return SuiteDesk(replica)


async def refusal(desk: SuiteDesk, url: str, receive_id: str, xml: str) -> str:
    """Return why a message is refused."""
    found = await outcome(desk.post(url, receive_id, xml))
    assert isinstance(found, EnvelopeRejected)
    return found.problem


# --- what passes


@pytest.mark.parametrize("sample", SAMPLES, ids=NAMES)
async def test_every_message_of_the_reference_has_app_corp_and_type(desk: SuiteDesk, sample: Sample) -> None:
    desk.corps.put(authorization(MARKET, CORP, 1000012), authorization(MARKET, PARENT_CORP, 1000007))
    event = await desk.post(sample.app, sample.receive_id, sample.xml)

    assert (sample.app, sample.corp_id, sample.event_type) == (event.app, event.corp_id, event.event_type)
    assert sample.change_type == event.change_type
    assert sample.user_id == event.user_id
    if sample.agent_id:
        assert sample.agent_id == event.agent_id
    assert not event.corp_unknown
    assert [FORMS[sample.receive_id]] == desk.forms


@pytest.mark.parametrize("sample", SAMPLES, ids=NAMES)
async def test_no_credential_of_the_broker_s_reaches_a_subscriber(desk: SuiteDesk, sample: Sample) -> None:
    desk.corps.put(authorization(MARKET, CORP))
    event = await desk.post(sample.app, sample.receive_id, sample.xml)
    cut = [secret for secret in CUT_OUT if secret in sample.xml]

    assert [] == [secret for secret in cut if secret in event.xml + repr(dict(event.fields))]
    if cut:
        assert event.xml
        assert "" in event.fields.values()
    else:
        assert event.xml.strip()


async def test_what_a_subscriber_needs_stays(desk: SuiteDesk) -> None:
    desk.corps.put(authorization(MARKET, CORP))
    by_type = {sample.event_type: sample for sample in SAMPLES}
    conversation = by_type["conversation_new_message"]
    event = await desk.post("market", MARKET_ID, conversation.xml)
    notified = await desk.post("market", CORP, by_type["program_notify"].xml)

    assert ("CONVERSATIONTOKEN", conversation.xml) == (event.fields["Token"], event.xml)
    assert "NOTIFYID" == notified.fields["NotifyId"]


async def test_the_remains_of_broken_cdata_reach_no_subscriber(desk: SuiteDesk) -> None:
    for sample in SAMPLES:
        if sample.event_type == "share_agent_change":
            event = await desk.post(sample.app, sample.receive_id, sample.xml)
            assert PARENT_CORP == event.fields["CorpId"]


# --- for whom it is sealed


@pytest.mark.parametrize(
    ("receive_id", "form"),
    [(MARKET_ID, "suite"), (PROVIDER_CORP, "provider"), (CORP, "authorized_corp")],
)
async def test_a_verification_may_be_sealed_for_the_provider_the_suite_or_a_corp(
    desk: SuiteDesk, receive_id: str, form: str
) -> None:
    desk.corps.put(authorization(MARKET, CORP))

    assert b"1616140317555161061" == await desk.verify("market", receive_id)
    assert [form] == desk.forms


@pytest.mark.parametrize("receive_id", ["", "wpStranger", TAILORED_ID, CORP.lower(), CORP[:-1], "ww-parent"])
async def test_a_verification_for_anybody_else_is_refused(desk: SuiteDesk, receive_id: str) -> None:
    desk.corps.put(authorization(MARKET, CORP))
    found = await outcome(desk.verify("market", receive_id))

    assert isinstance(found, EnvelopeRejected)
    assert [] == desk.forms


async def test_nobody_is_a_receiver_where_that_is_configured(replica: Replica) -> None:
    desk = SuiteDesk(replica, accept_empty=True)

    assert await desk.verify("market", "")
    assert "suite_ticket" == (await desk.post("market", "", SAMPLES[0].xml)).event_type
    assert ["empty", "empty"] == desk.forms


@pytest.mark.parametrize("receive_id", ["", "wpStranger", TAILORED_ID, "ww-parent"])
async def test_a_message_for_anybody_else_is_refused(desk: SuiteDesk, receive_id: str) -> None:
    assert "receive_id" == await refusal(desk, "market", receive_id, SAMPLES[0].xml)


async def test_a_create_auth_may_be_sealed_for_the_provider(desk: SuiteDesk) -> None:
    xml = SAMPLES[1].xml.replace("<xml>", f"<xml><ToUserName><![CDATA[{PROVIDER_CORP}]]></ToUserName>")
    event = await desk.post("market", PROVIDER_CORP, xml)

    assert ("create_auth", "", False) == (event.event_type, event.corp_id, event.corp_unknown)
    assert ["provider"] == desk.forms


async def test_another_suite_s_message_is_refused_whoever_it_is_sealed_for(desk: SuiteDesk) -> None:
    desk.corps.put(authorization(MARKET, CORP))
    ticket = SAMPLES[0].xml.replace(MARKET_ID, TAILORED_ID)
    for receive_id in (MARKET_ID, PROVIDER_CORP, CORP):
        assert "receive_id" == await refusal(desk, "market", receive_id, ticket)


@pytest.mark.parametrize("suite_id", ["", MARKET_ID.upper(), f"{MARKET_ID}0"])
async def test_a_command_names_its_suite(desk: SuiteDesk, suite_id: str) -> None:
    ticket = SAMPLES[0].xml.replace(f"[{MARKET_ID}]", f"[{suite_id}]")

    assert "receive_id" == await refusal(desk, "market", MARKET_ID, ticket)


async def test_another_provider_s_message_is_refused(desk: SuiteDesk) -> None:
    xml = command("change_auth", AuthCorpId=CORP, ServiceCorpId="ww5otherprovider0")

    assert "receive_id" == await refusal(desk, "market", MARKET_ID, xml)


# --- whom it is about


async def test_the_data_of_an_unknown_corp_is_refused(desk: SuiteDesk) -> None:
    for receive_id in (CORP, MARKET_ID, PROVIDER_CORP):
        assert "receive_id" == await refusal(desk, "market", receive_id, data("change_app_admin"))


async def test_while_an_installation_is_open_an_unknown_corp_is_taken_and_marked(desk: SuiteDesk) -> None:
    desk.installations.open.add("market")
    event = await desk.post("market", CORP, data("change_app_admin"))

    assert (CORP, True, None, 1000012) == (
        event.corp_id,
        event.corp_unknown,
        event.share_kind,
        event.agent_id,
    )
    assert ["installing_corp"] == desk.forms
    assert "receive_id" == await refusal(desk, "tailored", CORP, data("change_app_admin"))


async def test_the_data_of_a_corp_that_cancelled_is_refused(desk: SuiteDesk) -> None:
    desk.corps.put(authorization(MARKET, CORP))
    desk.corps.end(MARKET, CORP, AuthorizationState.CANCELLED)

    assert "receive_id" == await refusal(desk, "market", CORP, data("change_app_admin"))


async def test_a_corp_that_must_authorise_again_is_still_known(desk: SuiteDesk) -> None:
    desk.corps.put(authorization(MARKET, CORP))
    desk.corps.end(MARKET, CORP, AuthorizationState.REAUTHORIZATION_REQUIRED)

    assert CORP == (await desk.post("market", CORP, data("change_app_admin"))).corp_id


async def test_a_message_of_one_corp_in_the_envelope_of_another_is_refused(desk: SuiteDesk) -> None:
    desk.corps.put(authorization(MARKET, CORP), authorization(MARKET, PARENT_CORP))

    for xml in (data("subscribe", PARENT_CORP), command("change_auth", AuthCorpId=PARENT_CORP)):
        assert "receive_id" == await refusal(desk, "market", CORP, xml)


async def test_a_corp_that_is_named_by_its_plain_id_is_the_one_that_it_is_sealed_for(desk: SuiteDesk) -> None:
    desk.corps.put(authorization(MARKET, CORP))
    event = await desk.post("market", CORP, data("subscribe", "wx5823bf96d3bd56c7", "woUser"))

    assert (CORP, "woUser", False) == (event.corp_id, event.user_id, event.corp_unknown)


async def test_the_data_of_the_provider_s_own_corp_is_taken_if_it_installed_the_suite(
    desk: SuiteDesk,
) -> None:
    message = data("subscribe", PROVIDER_CORP)
    assert "receive_id" == await refusal(desk, "market", PROVIDER_CORP, message)

    desk.corps.put(authorization(MARKET, PROVIDER_CORP))
    assert PROVIDER_CORP == (await desk.post("market", PROVIDER_CORP, message)).corp_id
    assert ["authorized_corp"] == desk.forms


async def test_a_command_about_an_unknown_corp_is_taken_and_marked(desk: SuiteDesk) -> None:
    event = await desk.post("market", MARKET_ID, command("cancel_auth", AuthCorpId=CORP))

    assert (CORP, True) == (event.corp_id, event.corp_unknown)


async def test_a_message_that_comes_to_a_corp_url_without_suite_id_is_that_corp_s(desk: SuiteDesk) -> None:
    desk.corps.put(authorization(MARKET, CORP))
    xml = "<xml><InfoType>device_data_auth_change</InfoType><TimeStamp>1763020802</TimeStamp></xml>"

    assert CORP == (await desk.post("market", CORP, xml)).corp_id


async def test_an_event_says_how_the_app_came_to_the_corp_and_its_agent(desk: SuiteDesk) -> None:
    shared = SharedFrom(PARENT_CORP, ShareKind.SUPPLY_CHAIN)
    child = replace(authorization(MARKET, CORP), agents=(AuthorizedAgent(1000031, shared_from=shared),))
    desk.corps.put(child, authorization(MARKET, PARENT_CORP, 1000007))
    of_child = await desk.post("market", MARKET_ID, command("change_contact", AuthCorpId=CORP))
    of_parent = await desk.post("market", MARKET_ID, command("change_contact", AuthCorpId=PARENT_CORP))

    assert (ShareKind.SUPPLY_CHAIN, 1000031) == (of_child.share_kind, of_child.agent_id)
    assert (ShareKind.OWN, 1000007) == (of_parent.share_kind, of_parent.agent_id)


# --- replies, and URLs


async def test_a_verification_needs_the_right_for_the_corp_that_it_is_sealed_for(desk: SuiteDesk) -> None:
    desk.corps.put(authorization(MARKET, CORP), authorization(MARKET, PARENT_CORP))
    asked: list[str] = []
    for receive_id in (CORP, PARENT_CORP, MARKET_ID, PROVIDER_CORP):
        signed, echostr = desk.echo("market", receive_id)
        await desk.external.verify_url("market", signed, echostr, PARENT_CORP, asked.append)

    assert [CORP, PARENT_CORP] == asked


async def test_what_an_envelope_changes_is_not_done_without_the_right_for_its_corp(desk: SuiteDesk) -> None:
    def refuse(corp_id: str) -> None:
        raise CallerNotAllowed("no", corp_id=corp_id)

    desk.corps.put(authorization(MARKET, CORP))
    for sample in SAMPLES:
        if sample.app != "market":
            continue
        signed, body = desk.sealed("market", sample.receive_id, sample.xml)
        await outcome(desk.external.open("market", signed, body, "", refuse))

    assert [] == desk.events.before
    assert [] == desk.events.after


@pytest.mark.parametrize("name", [CORP, MARKET_ID])
async def test_a_reply_may_be_from_the_corp_or_the_suite_and_nobody_else(desk: SuiteDesk, name: str) -> None:
    desk.corps.put(authorization(MARKET, CORP), authorization(MARKET, PARENT_CORP))
    reply = f"<xml><FromUserName>{name}</FromUserName><MsgType>text</MsgType></xml>"

    assert await desk.external.seal_reply("market", CORP, reply, "")
    with pytest.raises(InvalidRequest, match="FromUserName"):
        await desk.external.seal_reply("market", CORP, reply.replace(name, PARENT_CORP), "")


@pytest.mark.parametrize("url", ["market", f"tailored/{CLIENT}"])
async def test_a_reply_of_a_suite_comes_in_at_none_of_its_urls(desk: SuiteDesk, url: str) -> None:
    desk.corps.put(authorization(MARKET, CORP), authorization(TAILORED, CLIENT))
    name, _, corp_id = url.partition("/")
    body = await desk.external.seal_reply(name, corp_id or CORP, REPLY, "")
    words = {part.tag: part.text or "" for part in fromstring(body)}
    signed = Signed(words["MsgSignature"], words["TimeStamp"], words["Nonce"])

    for called in ("market", "tailored", f"tailored/{CLIENT}", f"market/{CORP}"):
        found = await outcome(desk.decoder.open(desk.urls.find(*called.split("/")), signed, body))
        assert isinstance(found, EnvelopeRejected)


async def test_a_reply_is_sealed_for_the_corp_with_the_suite_s_keys(
    world: EngineWorld, desk: SuiteDesk
) -> None:
    desk.corps.put(authorization(MARKET, CORP))
    body = await desk.external.seal_reply("market", CORP, REPLY, "")
    opened = open_sealed(desk.settings["market"].keys, read_envelope(body).encrypted)

    assert (REPLY.encode(), CORP) == (opened.message, opened.receive_id)


async def test_a_reply_needs_a_corp_that_authorised(desk: SuiteDesk) -> None:
    with pytest.raises(CorpNotAuthorized):
        await desk.external.seal_reply("market", CORP, REPLY, "")
    with pytest.raises(InvalidRequest, match="corp_id"):
        await desk.external.seal_reply("market", "", REPLY, "")
    with pytest.raises(InvalidRequest, match="provider"):
        await desk.external.seal_reply("acme", CORP, REPLY, "")


async def test_an_envelope_opened_for_a_service_is_kept_as_a_push_is(desk: SuiteDesk) -> None:
    for sample in SAMPLES[:2]:
        signed, body = desk.sealed("market", sample.receive_id, sample.xml)
        event = await desk.external.open("market", signed, body, "", anybody)
        assert "" == event.fields.get("SuiteTicket", event.fields.get("AuthCode"))

    [(_, ticket), (_, code)] = desk.events.before
    assert (TICKET, CODE) == (ticket.word("SuiteTicket"), code.word("AuthCode"))
    assert ["suite_ticket", "create_auth"] == [event.event_type for _, event in desk.events.after]


async def test_the_data_url_may_have_a_corp_in_it(desk: SuiteDesk) -> None:
    desk.corps.put(authorization(MARKET, CORP))

    assert CORP == (await desk.post(f"market/{CORP}", CORP, data("subscribe"))).corp_id
    assert await desk.verify(f"market/{PROVIDER_CORP}", PROVIDER_CORP)


@pytest.mark.parametrize("url", ["crm/wpOne", "acme/wpOne", "market/a b", "tailored/" + "x" * 65])
def test_there_is_no_url_below_other_apps(desk: SuiteDesk, url: str) -> None:
    name, _, corp_id = url.partition("/")

    with pytest.raises(InvalidRequest, match="has no callback"):
        desk.urls.find(name, corp_id)


def test_an_unknown_name_is_told(desk: SuiteDesk) -> None:
    with pytest.raises(UnknownApp):
        desk.urls.find("nobody", CLIENT)


# --- what is durable before the answer


async def test_a_ticket_is_written_before_its_event_and_a_repeat_is_written_again(
    world: EngineWorld, desk: SuiteDesk
) -> None:
    inbox, called = desk.inbox(), desk.urls.find("market")
    signed, body = desk.sealed("market", MARKET_ID, SAMPLES[0].xml)

    assert await world.run(inbox.receive(called, signed, body, ""))
    assert not await world.run(inbox.receive(called, signed, body, ""))
    assert [TICKET] * 2 == [message.word("SuiteTicket") for _, message in desk.events.before]
    assert ["suite_ticket"] * 2 == [event.event_type for _, event in desk.events.after]


async def test_without_the_store_a_push_is_told_within_half_a_second(
    world: EngineWorld, desk: SuiteDesk
) -> None:
    desk.events.is_away = True
    inbox, called = desk.inbox(), desk.urls.find("market")
    began = world.clock.now()
    refused = await world.run(
        outcome(inbox.receive(called, *desk.sealed("market", MARKET_ID, SAMPLES[1].xml), ""))
    )

    assert isinstance(refused, StoreUnavailable)
    assert STORE_PATIENCE <= world.clock.now() - began < timedelta(seconds=0.9)
    assert ([], []) == (desk.events.before, desk.events.after)
    desk.events.is_away = False
    # WeCom sends it again: it is new, for its event was not written either.
    assert await world.run(inbox.receive(called, *desk.sealed("market", MARKET_ID, SAMPLES[1].xml), ""))


async def test_data_of_corps_changes_nothing_before_the_answer(world: EngineWorld, desk: SuiteDesk) -> None:
    desk.corps.put(authorization(MARKET, CORP))
    signed, body = desk.sealed("market", CORP, data("change_app_admin"))

    assert await world.run(desk.inbox().receive(desk.urls.find("market"), signed, body, ""))
    assert [] == desk.events.before
    assert ["change_app_admin"] == [event.event_type for _, event in desk.events.after]


# --- senders


async def test_wecom_s_addresses_are_listed_with_the_token_of_a_corp_that_can_be_used(
    desk: SuiteDesk,
) -> None:
    for name in ("market", "acme"):
        assert desk.urls.find(name).sender_key() is None
    desk.corps.put(authorization(MARKET, "wpA"), authorization(MARKET, "wpB", 1000031))
    desk.corps.end(MARKET, "wpA", AuthorizationState.REAUTHORIZATION_REQUIRED)

    for name in ("market", "acme"):
        assert CredentialKey("market", "wpB", 1000031) == desk.urls.find(name).sender_key()
    assert desk.urls.find("tailored").sender_key() is None


async def test_without_a_token_every_sender_passes(desk: SuiteDesk) -> None:
    allowlist = desk.inbox()._allowlist

    await allowlist.check("market", desk.urls.find("market").sender_key(), "203.0.113.66")

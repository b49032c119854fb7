"""What the simulator says of each kind of event: WeCom's words, and its slips."""

import pytest

from broker.protocol.callbacks.xml import parse_xml
from broker.simulator import AppId, BusinessType, ChangeType, EventKind, World, demo
from broker.simulator.callbacks.messages import message
from broker.simulator.world.events.event import Event
from broker.simulator.world.events.kinds import COMMANDS, OF_MEMBER, OF_PARENT, SYSTEM
from broker.simulator.world.people.userids import encrypted_userid

CHILD_APP = AppId("ww1child000000001", 1000010)
SUPPLIER_APP = AppId("wpSupplier_000000001", 1000020)


def said(event: Event) -> str:
    return message(event, event.origin.agentid).decode()


def fields(event: Event) -> dict[str, str]:
    return {part.tag: (part.text or "").strip() for part in parse_xml(message(event, 7).decode())}


@pytest.mark.parametrize("kind", EventKind)
def test_every_kind_can_be_read_and_says_its_name(world: World, kind: EventKind) -> None:
    read = fields(world.callbacks.event(kind, CHILD_APP.corpid))

    if kind in COMMANDS:
        assert (kind.wire_name, demo.SUITE_ID) == (read["InfoType"], read["SuiteId"])
        assert "1800000000" == read["TimeStamp"]
    elif kind in SYSTEM:
        assert (kind.wire_name, demo.PARENT.corpid) == (read["InfoType"], read["ServiceCorpId"])
        assert "1800000000" == read["TimeStamp"]
    else:
        assert kind.wire_name == (read["Event"] if read["MsgType"] == "event" else read["MsgType"])
        assert "1800000000" == read["CreateTime"]


@pytest.mark.parametrize("kind", sorted(set(EventKind) - COMMANDS - SYSTEM))
def test_an_event_names_the_child_that_it_comes_from_but_shares_name_the_parent(
    world: World, kind: EventKind
) -> None:
    read = fields(world.callbacks.event(kind, CHILD_APP.corpid))

    assert (demo.PARENT.corpid if kind in OF_PARENT else CHILD_APP.corpid) == read["ToUserName"]
    assert ("lisi" if kind in OF_MEMBER else "sys") == read["FromUserName"]
    assert (kind is not EventKind.CHANGE_CHAIN) == ("AgentID" in read)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("text", {"Content": "hi", "MsgType": "text", "AgentID": "7"}),
        ("enter_agent", {"EventKey": ""}),
        ("inactive_alert", {"EffectTime": "1800604800"}),
        ("low_active_alert", {"EffectTime": "1800604800"}),
        ("change_auth", {"AuthCorpId": CHILD_APP.corpid, "State": "abc"}),
        ("cancel_auth", {"AuthCorpId": CHILD_APP.corpid}),
        ("create_auth", {"State": "123"}),
        ("change_editon", {"PaidCorpId": CHILD_APP.corpid}),
        ("suite_share_agent_change", {"CorpId": demo.PARENT.corpid, "AgentId": "1000002", "AppId": "1"}),
        ("suite_share_chain_change", {"InfoType": "share_chain_change"}),
    ],
)
def test_a_kind_has_its_own_fields(world: World, kind: str, expected: dict[str, str]) -> None:
    read = fields(world.callbacks.event(kind, CHILD_APP.corpid, text="hi"))

    assert expected == {name: read[name] for name in expected}


def test_codes_tickets_and_message_ids_are_new_each_time(world: World) -> None:
    for kind, name in [
        ("text", "MsgId"),
        ("suite_ticket", "SuiteTicket"),
        ("create_auth", "AuthCode"),
        ("reset_permanent_code", "AuthCode"),
    ]:
        values = {fields(world.callbacks.event(kind))[name] for _ in range(3)}
        assert 3 == len(values)
        assert "" not in values


def test_a_suite_ticket_has_a_blank_before_its_info_type(world: World) -> None:
    assert "<InfoType> <![CDATA[suite_ticket]]>" in said(world.callbacks.event("suite_ticket"))


def test_a_share_event_of_a_suite_lacks_the_beginning_of_a_cdata(world: World) -> None:
    for kind in ("suite_share_agent_change", "suite_share_chain_change"):
        assert f"<CorpId>![CDATA[{demo.PARENT.corpid}]]></CorpId>" in said(world.callbacks.event(kind))


def test_the_edition_is_misspelt(world: World) -> None:
    assert "change_editon" in said(world.callbacks.event("change_editon"))


@pytest.mark.parametrize("change", ChangeType)
def test_change_chain_says_what_changed(world: World, change: ChangeType) -> None:
    event = world.callbacks.event("change_chain", CHILD_APP.corpid, change_type=change)
    root = parse_xml(message(event, 1).decode())

    assert change == root.findtext("ChangeType")
    assert change.endswith("_group") == (root.findtext("GroupIds/GroupId") == "5")
    corpid = root.findtext("CorpIds/CorpId")
    if change is ChangeType.CORP_JOIN:
        # As doc 95796 prints it.
        assert f"![CDATA[{CHILD_APP.corpid}]]" == corpid
        assert "<ChainId>![CDATA[Chain0001]]</ChainId>" in said(event)
    elif change in (ChangeType.UPDATE_CORP, ChangeType.REMOVE_CORP):
        assert CHILD_APP.corpid == corpid
    else:
        assert corpid is None


@pytest.mark.parametrize(
    "text",
    ["]]>", "a]]>b]]>", "<xml>&amp;", "]]", "]]]>", "![CDATA[x]]>", "<![CDATA[", "你好 🦀", "\t\n", " "],
)
def test_what_a_member_writes_stays_text(world: World, text: str) -> None:
    read = parse_xml(message(world.callbacks.event("text", text=text), 1).decode())

    assert text == read.findtext("Content")
    assert "text" == read.findtext("MsgType")


def test_what_no_xml_can_hold_is_replaced(world: World) -> None:
    event = world.callbacks.event("text", "ww\x00", "li\x1bsi", text="\x00\ud800\uffff.")

    assert "\ufffd\ufffd\ufffd." == fields(event)["Content"]


def test_a_user_is_plain_in_a_corp_group_and_encrypted_in_a_supply_chain(world: World) -> None:
    hidden = encrypted_userid(demo.PARENT, SUPPLIER_APP.corpid, "wangwu")

    assert "lisi" == world.callbacks.event("text", CHILD_APP.corpid, "lisi").userid
    assert hidden == world.callbacks.event("text", SUPPLIER_APP.corpid, "wangwu").userid
    assert hidden == world.callbacks.event("text", SUPPLIER_APP.corpid).userid

    world.settings.supply_chain_userids_encrypted = False

    assert "wangwu" == world.callbacks.event("text", SUPPLIER_APP.corpid, "wangwu").userid


def test_the_place_is_the_childs_app_through_the_chosen_share(world: World) -> None:
    world.share(demo.PARENT, AppId(CHILD_APP.corpid, 55), BusinessType.SUPPLY_CHAIN)
    place = world.callbacks.event("text", CHILD_APP.corpid, business_type=BusinessType.SUPPLY_CHAIN).place

    assert 55 == place.agentid
    assert CHILD_APP == world.callbacks.event("text", CHILD_APP.corpid).place
    assert 66 == world.callbacks.event("text", CHILD_APP.corpid, agentid=66).place.agentid


def test_a_corp_that_is_unknown_here_may_be_named(world: World) -> None:
    event = world.callbacks.event("subscribe", "ww9nobody")

    assert ("ww9nobody", "nobody") == (fields(event)["ToUserName"], fields(event)["FromUserName"])


def test_an_unknown_kind_is_refused(world: World) -> None:
    with pytest.raises(ValueError, match="change_edition"):
        world.callbacks.event("change_edition")

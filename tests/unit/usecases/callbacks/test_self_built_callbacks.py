"""The URL of a self-built app that is shared through both kinds, while one of them cannot be listed."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from broker.domain.corps import ShareKind
from broker.domain.errors import AppNotShared, BrokerError, EnvelopeRejected, WecomUnavailable
from broker.domain.events.receiver import ReceiverForm
from broker.domain.secret import Secret
from broker.domain.suites.catalog import Catalog
from broker.protocol.callbacks.envelope import CallbackKeys
from broker.protocol.callbacks.message import Message
from broker.usecases.callbacks.callback import Callback
from broker.usecases.callbacks.settings import CallbackSettings
from broker.usecases.callbacks.urls import CallbackUrls
from tests.kit.memory.engine_world import CHILD_SHARE, CRM, PARENT, EngineWorld, Replica, outcome

CHILD_CORP = CHILD_SHARE.corp_id
BOTH = replace(CRM, share_kinds=(ShareKind.CORP_GROUP, ShareKind.SUPPLY_CHAIN))
KEYS = CallbackKeys(Secret("TokenOfTheCallbacks"), Secret("A" * 43))
SETTINGS = CallbackSettings(KEYS, timedelta(minutes=10), accept_child_receive_id=True, check_sender=False)


@pytest.fixture
async def world() -> AsyncIterator[EngineWorld]:
    async with EngineWorld(apps=[BOTH]) as world:
        world.wecom.refusals["shares:supply_chain"] = WecomUnavailable("system busy", errcode=-1)
        yield world


@pytest.fixture
def callback(replica: Replica) -> Callback:
    urls = CallbackUrls(
        Catalog({"crm": BOTH}),
        {"crm": SETTINGS},
        {},
        shares=replica.shares,
        relisting=replica.renewal,
        corps={},
        clock=replica.clock,
        observer=replica.witness,
    )
    return urls.find("crm")


def message(corp_id: str) -> Message:
    fields = {"ToUserName": corp_id, "FromUserName": "zhangsan", "MsgType": "event", "Event": "enter_agent"}
    return Message("", fields)


@pytest.mark.parametrize(
    ("receive_id", "form"), [(PARENT, ReceiverForm.OWN_CORP), (CHILD_CORP, ReceiverForm.CHILD)]
)
async def test_an_event_of_a_child_of_the_other_kind_is_that_child_s(
    world: EngineWorld, callback: Callback, receive_id: str, form: ReceiverForm
) -> None:
    event, found = await world.run(callback.event(message(CHILD_CORP), receive_id))

    assert (CHILD_CORP, ShareKind.CORP_GROUP, 7) == (event.corp_id, event.share_kind, event.agent_id)
    assert not event.corp_unknown
    assert form == found


async def test_a_child_of_the_other_kind_is_replied_to(world: EngineWorld, callback: Callback) -> None:
    assert CHILD_CORP == await world.run(callback.reply_receiver(CHILD_CORP))


async def test_a_stranger_is_as_unknown_as_before(
    world: EngineWorld, replica: Replica, callback: Callback
) -> None:
    event, _ = await world.run(callback.event(message("ww-stranger"), PARENT))
    assert ("ww-stranger", None, True) == (event.corp_id, event.share_kind, event.corp_unknown)

    refused = await world.run(outcome(callback.event(message(CHILD_CORP), "ww-stranger")))
    assert isinstance(refused, EnvelopeRejected)
    replied = await world.run(outcome(callback.reply_receiver("ww-stranger")))
    assert isinstance(replied, BrokerError)
    assert not isinstance(replied, AppNotShared)
    assert replica.witness.failures
    replica.witness.failures.clear()

"""A callback is written under a key that tells nothing, and a store that restarts is waited for."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from broker.domain.corps import ShareKind
from broker.domain.errors import StoreUnavailable, UnknownApp
from broker.domain.events.event import Event
from broker.domain.events.log import Retention
from broker.domain.secret import Secret
from broker.domain.shares import ListingKey
from broker.domain.suites.catalog import Catalog
from broker.protocol.callbacks.envelope import CallbackKeys
from broker.protocol.callbacks.message import delivery_key, read_message
from broker.simulator import crypto
from broker.simulator.callbacks.cdata import document
from broker.simulator.callbacks.envelope import Address, sealed_post
from broker.usecases.callbacks.decoder import CallbackDecoder, Signed
from broker.usecases.callbacks.inbox import (
    KEY_KEPT_FOR,
    KNOWN_DOWN_FOR,
    RETRY_INTERVAL,
    CallbackInbox,
)
from broker.usecases.callbacks.self_built import STORE_PATIENCE
from broker.usecases.callbacks.sender_allowlist import SenderAllowlist
from broker.usecases.callbacks.settings import CallbackSettings
from broker.usecases.callbacks.urls import CallbackUrls
from tests.kit.memory.engine_world import CRM, PARENT, EngineWorld, Replica

KEYS = CallbackKeys(Secret("TokenOfTheCallbacks"), Secret("A" * 43))
SETTINGS = CallbackSettings(KEYS, timedelta(minutes=10), accept_child_receive_id=True, check_sender=False)
KEEP = Retention(timedelta(days=3), 1000)
SENT = {"ToUserName": PARENT, "FromUserName": "zhangsan", "CreateTime": 1772438400, "MsgType": "event"}


@dataclass
class Log:
    """Writes down what it is given; while it is away it says so."""

    is_away: Callable[[], bool] = lambda: False
    attempts: int = 0
    is_repeat: bool = False
    events: list[Event] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    spans: list[timedelta] = field(default_factory=list)
    told: list[list[str]] = field(default_factory=list)

    async def append(
        self, event: Event, *, key: str, once_in: timedelta, keep: Retention, notify: Sequence[str]
    ) -> str:
        self.attempts += 1
        if self.is_away():
            raise StoreUnavailable("away")
        assert KEEP == keep
        self.events.append(event)
        self.keys.append(key)
        self.spans.append(once_in)
        self.told.append(list(notify))
        return "" if self.is_repeat else "1772438400000-000000"


class Inbox:
    """An inbox over a log of the test's."""

    def __init__(self, replica: Replica, log: Log, settings: CallbackSettings = SETTINGS) -> None:
        self.log = log
        self._replica = replica
        self._keys = settings.keys
        urls = CallbackUrls(
            Catalog({"crm": CRM}),
            {"crm": settings},
            {},
            shares=replica.shares,
            relisting=replica.renewal,
            corps={},
            clock=replica.clock,
            observer=replica.witness,
        )
        self.inbox = CallbackInbox(
            urls=urls,
            decoder=CallbackDecoder(replica.clock, replica.witness),
            allowlist=SenderAllowlist(
                replica.engine,
                None,  # type: ignore[arg-type] - no sender is checked here
                replica.clock,
                replica.witness,
                replica.tasks,
            ),
            log=log,  # type: ignore[arg-type] - it is only appended to
            keep=KEEP,
            clock=replica.clock,
        )

    async def receive(self, **fields: str | int) -> bool:
        """Take a message of these fields in, sealed anew."""
        now = str(int(self._replica.clock.now().timestamp()))
        address = Address(PARENT, PARENT)
        message = document(**{**SENT, **fields}).encode()
        wecoms = crypto.CallbackKeys(self._keys.token.reveal(), self._keys.encoding_aes_key.reveal())
        post = sealed_post(
            wecoms, message, address, timestamp=now, nonce="1", random=time.time_ns().to_bytes(16)
        )
        return await self.inbox.receive(self.inbox.callback("crm"), Signed(**post.query), post.body, "")


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def inbox(replica: Replica, log: Log) -> Inbox:
    return Inbox(replica, log)


async def test_an_event_is_written_as_it_came(inbox: Inbox, log: Log) -> None:
    assert await inbox.receive(Event="enter_agent")
    [event] = log.events

    assert ("crm", PARENT, "enter_agent") == (event.app, event.corp_id, event.event_type)
    assert document(**SENT, Event="enter_agent") == event.xml
    assert ("zhangsan", ShareKind.OWN, CRM.agent_id) == (event.user_id, event.share_kind, event.agent_id)


async def test_a_repeat_is_not_new(inbox: Inbox, log: Log) -> None:
    log.is_repeat = True

    assert not await inbox.receive(Event="enter_agent")


async def test_the_key_is_that_of_the_message_and_of_the_app_s_own_secret(
    replica: Replica, inbox: Inbox, log: Log
) -> None:
    await inbox.receive(Event="enter_agent")
    await inbox.receive(Event="enter_agent")
    await inbox.receive(Event="subscribe")
    other = replace(SETTINGS, keys=CallbackKeys(KEYS.token, Secret("B" * 43)))
    await Inbox(replica, log, other).receive(Event="enter_agent")
    first, again, another, foreign = log.keys

    assert first == again
    assert 3 == len({first, another, foreign})
    # Whoever guesses the message could have made this one.
    message = document(**SENT, Event="enter_agent").encode()
    assert delivery_key(read_message(message)) not in log.keys


@pytest.mark.parametrize(
    ("max_age", "once_in"),
    [(None, KEY_KEPT_FOR), (timedelta(minutes=10), KEY_KEPT_FOR), (timedelta(1), timedelta(2))],
)
async def test_a_delivery_is_known_again_as_long_as_its_timestamp_is_taken_and_wecom_repeats(
    replica: Replica, log: Log, max_age: timedelta | None, once_in: timedelta
) -> None:
    await Inbox(replica, log, replace(SETTINGS, max_age=max_age)).receive(Event="subscribe")

    assert [once_in] == log.spans


async def test_share_events_are_told_to_who_lists_that_kind(inbox: Inbox, log: Log) -> None:
    for name in ("subscribe", "share_agent_change", "share_chain_change", "change_chain"):
        await inbox.receive(Event=name, FromUserName="sys")

    # This app is shared in 企业互联 only.
    assert (ShareKind.CORP_GROUP,) == CRM.share_kinds
    listing = ListingKey("crm", ShareKind.CORP_GROUP).name
    assert [["events:crm"], ["events:crm", listing], ["events:crm"], ["events:crm"]] == log.told


async def test_a_store_that_restarts_is_waited_for(world: EngineWorld, inbox: Inbox, log: Log) -> None:
    returns_at = world.clock.now() + STORE_PATIENCE / 2
    log.is_away = lambda: world.clock.now() < returns_at

    assert await world.run(inbox.receive(Event="subscribe"))
    assert 2 < log.attempts < 20
    assert 1 == len(log.events)


@pytest.mark.parametrize("step", [timedelta(0), timedelta(days=-1), timedelta(days=1)])
async def test_a_store_that_stays_away_is_told_in_time_whatever_the_clock_does(
    world: EngineWorld, replica: Replica, inbox: Inbox, step: timedelta
) -> None:
    class Stepping(Log):
        async def append(self, *args: object, **options: object) -> str:
            replica.clock.skew = step
            self.attempts += 1
            raise StoreUnavailable("away")

    inbox.inbox._log = away = Stepping()  # type: ignore[assignment]
    began = world.clock.now()
    with pytest.raises(StoreUnavailable):
        await world.run(inbox.receive(Event="subscribe"))

    assert STORE_PATIENCE <= world.clock.now() - began < STORE_PATIENCE + timedelta(seconds=0.5)
    assert away.attempts > 2


async def refused(world: EngineWorld, inbox: Inbox) -> timedelta:
    """Return how long a callback waits that the store does not take."""
    began = world.clock.now()
    with pytest.raises(StoreUnavailable):
        await world.run(inbox.receive(Event="subscribe"))
    return world.clock.now() - began


async def test_a_store_that_is_known_to_be_down_is_not_waited_for(
    world: EngineWorld, inbox: Inbox, log: Log
) -> None:
    log.is_away = lambda: True
    assert STORE_PATIENCE <= await refused(world, inbox)

    assert max([await refused(world, inbox) for _ in range(3)]) <= RETRY_INTERVAL


async def test_a_store_is_waited_for_again_once_it_answered(
    world: EngineWorld, inbox: Inbox, log: Log
) -> None:
    log.is_away = lambda: True
    await refused(world, inbox)
    log.is_away = lambda: False
    await inbox.receive(Event="subscribe")
    log.is_away = lambda: True

    assert STORE_PATIENCE <= await refused(world, inbox)


@pytest.mark.parametrize("step", [KNOWN_DOWN_FOR, timedelta(seconds=-1)])
async def test_what_is_known_of_a_store_is_forgotten_soon_and_when_the_clock_is_set_back(
    world: EngineWorld, replica: Replica, inbox: Inbox, log: Log, step: timedelta
) -> None:
    log.is_away = lambda: True
    await refused(world, inbox)
    replica.clock.skew = step

    assert STORE_PATIENCE <= await refused(world, inbox)


def test_an_app_without_callbacks_is_told(inbox: Inbox) -> None:
    called = inbox.inbox.callback("crm")

    assert ("crm", SETTINGS) == (called.name, called.settings)
    with pytest.raises(UnknownApp):
        inbox.inbox.callback("nobody")


async def test_a_repeated_share_event_lists_anew_all_the_same(
    world: EngineWorld, replica: Replica, inbox: Inbox, log: Log
) -> None:
    await world.run(replica.lister.listing(CRM, ShareKind.CORP_GROUP))
    before = replica.shares.fence(ListingKey.of(CRM, ShareKind.CORP_GROUP))
    log.is_repeat = True
    await inbox.receive(Event="share_agent_change", FromUserName="sys")
    await world.clock.advance(timedelta(seconds=5))

    assert replica.shares.fence(ListingKey.of(CRM, ShareKind.CORP_GROUP)) > before

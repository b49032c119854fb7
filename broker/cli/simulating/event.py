"""`simulate --event`: one event of the simulated WeCom, sent to a running broker."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, replace

from broker.simulator.callbacks.client import CallbackClient, Verification
from broker.simulator.demo import PARENT, SUITE_ID, demo_world
from broker.simulator.world.corps import AppId
from broker.simulator.world.events.callback import Callback
from broker.simulator.world.events.delivery import Attempt, Delivery
from broker.simulator.world.events.event import Event
from broker.simulator.world.events.kinds import (
    COMMANDS,
    OF_MEMBER,
    OF_ROBOT,
    SHARES_OF_SUITES,
    ChangeType,
    EventKind,
)

VERIFY_URL = "verify_url"
KINDS = [VERIFY_URL, *(kind.value for kind in EventKind)]

_OF_ALL = {"callback_url", "callback_token", "callback_aes_key", "receive_id"}
_WITHOUT_CORP = SHARES_OF_SUITES | {
    EventKind.SHARE_AGENT_CHANGE,
    EventKind.SHARE_CHAIN_CHANGE,
    EventKind.SUITE_TICKET,
    EventKind.CREATE_AUTH,
    EventKind.RESET_PERMANENT_CODE,
}
_LONGEST_BODY = 200


def options_of(kind: str) -> Collection[str]:
    """Return the options that make sense with a kind."""
    if kind == VERIFY_URL:
        return _OF_ALL | {"robot"}
    event = EventKind(kind)
    sensible = {
        "corp": event not in _WITHOUT_CORP,
        "user": event in OF_MEMBER,
        "agent": event not in COMMANDS or event in SHARES_OF_SUITES,
        "text": event is EventKind.TEXT,
        "robot": event in OF_ROBOT,
        "change_type": event is EventKind.CHANGE_CHAIN,
    }
    named = {name for name, makes_sense in sensible.items() if makes_sense}
    return _OF_ALL | {"count", "json_envelope", "raw"} | named


@dataclass(frozen=True, slots=True)
class SimulatedEvent:
    """The event to send. Empty values stand for the demo's."""

    kind: EventKind
    corp: str
    user: str
    agent: int
    text: str
    change_type: ChangeType
    receive_id: str
    raw: bytes | None = None
    """Sent unchanged, in place of the message."""

    async def send(self, callback: Callback, count: int) -> AsyncIterator[Delivery]:
        """Send the event that many times; yield each outcome as it is known."""
        async with CallbackClient.open(time.time, secrets.token_bytes, asyncio.sleep) as client:
            for _ in range(count):
                yield await client.deliver(callback, Delivery(self._event()))

    def _event(self) -> Event:
        world = demo_world()
        app = AppId(self.receive_id or PARENT.corpid, self.agent or PARENT.agentid)
        corp = self.corp or app.corpid
        event = world.callbacks.event(
            self.kind,
            corp,
            self.user,
            PARENT if world.corps.find(corp) else app,
            agentid=self.agent,
            text=self.text,
            change_type=self.change_type,
            suite_id=self.receive_id or SUITE_ID,
            raw=self.raw,
        )
        return replace(event, app=app)


async def verify(callback: Callback, receive_id: str) -> Verification:
    """Verify the URL once."""
    async with CallbackClient.open(time.time, secrets.token_bytes, asyncio.sleep) as client:
        return await client.verify_url(callback, receive_id or ("" if callback.robot else PARENT.corpid))


def succeeded(delivery: Delivery) -> bool:
    """Return whether the answer was 200 `success`: a broker's answer, and more than WeCom mostly demands."""
    return delivery.accepted and delivery.attempts[-1].body == "success"


def described(attempt: Attempt, tries: int = 1) -> str:
    """Return an answer in one line, whatever is in it."""
    body = attempt.body if len(attempt.body) <= _LONGEST_BODY else attempt.body[:_LONGEST_BODY] + "…"
    answer = attempt.error or f"answered {attempt.status} {body!r}"
    return f"{answer} in {attempt.seconds:.3f} s" + (f", after {tries} tries" if tries > 1 else "")

"""What the fake broker does with events and callbacks."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from wecom_broker.v1 import callback_service_pb2 as callbacks_pb2
from wecom_broker.v1 import event_service_pb2 as events_pb2
from wecom_broker.v1 import target_pb2
from wecom_broker.v1.callback_service_pb2_grpc import (
    CallbackServiceServicer,
    add_CallbackServiceServicer_to_server,
)
from wecom_broker.v1.event_service_pb2_grpc import EventServiceServicer, add_EventServiceServicer_to_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import grpc.aio
    from wecom_broker import Event

    Context = grpc.aio.ServicerContext

CREATED, RECEIVED = datetime(2026, 11, 22, 10, tzinfo=UTC), datetime(2026, 11, 22, 10, 0, 1, tzinfo=UTC)


def event_message(number: int, **fields: object) -> events_pb2.Event:
    """Return the event of a number; what a person wrote says `private`."""
    values: dict[str, object] = {
        "event_id": f"crm:{number:013}-000000",
        "app": "crm",
        "corp_id": "ww1",
        "share_kind": target_pb2.SHARE_KIND_CORP_GROUP,
        "agent_id": 7,
        "user_id": "zhang",
        "event_type": "text",
        "create_time": CREATED,
        "receive_time": RECEIVED,
        "fields": {"Content": "private"},
        "xml": "<xml>private</xml>",
    }
    return events_pb2.Event(**{**values, **fields})


def number(event: Event) -> int:
    """Return the number of an event that the client was handed."""
    return int(event.event_id[4:17])


class FakeGroup:
    """What one group has handled, and who holds the rest."""

    def __init__(self, after: int = 0) -> None:
        """Begin after so many events."""
        self.after = after
        self.acknowledged: list[str] = []
        self.holders: dict[str, object] = {}
        self.tries: Counter[str] = Counter()

    def holds(self, member: object) -> list[str]:
        """Return the ids of what a member holds."""
        return [event_id for event_id, holder in self.holders.items() if holder is member]


class FakeEvents(EventServiceServicer, CallbackServiceServicer):
    """Hand out events in their order, and what a member held again once its stream ends."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[events_pb2.Event] = []
        self.dead: dict[str, events_pb2.Event] = {}
        self.sent: Counter[str] = Counter()
        """How often each event was handed out, to whatever group."""
        self._groups: dict[str, FakeGroup] = {}
        self._members: set[asyncio.Event] = set()

    async def enter(self, method: str, request: object, context: Context) -> None:
        raise NotImplementedError

    def changed(self) -> None:
        raise NotImplementedError

    def add_events_to(self, server: grpc.aio.Server) -> None:
        add_EventServiceServicer_to_server(self, server)
        add_CallbackServiceServicer_to_server(self, server)

    @property
    def open_subscriptions(self) -> int:
        return len(self._members)

    def group(self, name: str) -> FakeGroup:
        return self._groups.setdefault(name, FakeGroup())

    def acknowledged(self, group: str) -> list[int]:
        """Return the numbers of the events that the group acknowledged, each as often as it did."""
        return [int(event_id[4:17]) for event_id in self.group(group).acknowledged]

    def come(self, *numbers: int) -> None:
        """Have the events of these numbers come in."""
        self.events += [event_message(number) for number in numbers]
        self._look_again()

    async def SubscribeEvents(
        self, request: events_pb2.SubscribeEventsRequest, context: Context
    ) -> AsyncIterator[events_pb2.SubscribeEventsResponse]:
        await self.enter("SubscribeEvents", request, context)
        if request.HasField("replay_from_time") or request.replay_from_event_id:
            self._groups[request.group] = FakeGroup()
        # Whoever only looks on is alone, and sees what comes from now on.
        group = self.group(request.group) if request.group else FakeGroup(len(self.events))
        room = request.max_in_flight or (100 if request.group else sys.maxsize)
        with self._member(group) as member:
            await context.send_initial_metadata(())
            while True:
                member.clear()
                for event in self._handed_out(group, member, room):
                    self.sent[event.event_id] += 1
                    yield events_pb2.SubscribeEventsResponse(
                        event=event, delivery_count=group.tries[event.event_id]
                    )
                await member.wait()

    async def AcknowledgeEvents(
        self, request: events_pb2.AcknowledgeEventsRequest, context: Context
    ) -> events_pb2.AcknowledgeEventsResponse:
        await self.enter("AcknowledgeEvents", request, context)
        group = self.group(request.group)
        count = len({*request.event_ids} - {*group.acknowledged})
        group.acknowledged += request.event_ids
        for event_id in request.event_ids:
            group.holders.pop(event_id, None)
            self.dead.pop(event_id, None)
        self._look_again()
        return events_pb2.AcknowledgeEventsResponse(acknowledged_count=count)

    async def ListDeadEvents(
        self, request: events_pb2.ListDeadEventsRequest, context: Context
    ) -> events_pb2.ListDeadEventsResponse:
        """Answer in pages of two."""
        await self.enter("ListDeadEvents", request, context)
        start = int(request.page_token or 0)
        dead = [*self.dead.values()]
        return events_pb2.ListDeadEventsResponse(
            events=dead[start : start + 2],
            next_page_token=str(start + 2) if start + 2 < len(dead) else "",
        )

    async def RetryDeadEvents(
        self, request: events_pb2.RetryDeadEventsRequest, context: Context
    ) -> events_pb2.RetryDeadEventsResponse:
        await self.enter("RetryDeadEvents", request, context)
        retried = [self.dead.pop(event_id) for event_id in request.event_ids if event_id in self.dead]
        return events_pb2.RetryDeadEventsResponse(retried_count=len(retried))

    async def VerifyUrl(
        self, request: callbacks_pb2.VerifyUrlRequest, context: Context
    ) -> callbacks_pb2.VerifyUrlResponse:
        await self.enter("VerifyUrl", request, context)
        return callbacks_pb2.VerifyUrlResponse(plaintext=b"1616140317555161061")

    async def OpenEnvelope(
        self, request: callbacks_pb2.OpenEnvelopeRequest, context: Context
    ) -> callbacks_pb2.OpenEnvelopeResponse:
        await self.enter("OpenEnvelope", request, context)
        return callbacks_pb2.OpenEnvelopeResponse(event=event_message(1, event_id=""))

    async def SealReply(
        self, request: callbacks_pb2.SealReplyRequest, context: Context
    ) -> callbacks_pb2.SealReplyResponse:
        await self.enter("SealReply", request, context)
        return callbacks_pb2.SealReplyResponse(body=b"<xml>sealed</xml>")

    @contextmanager
    def _member(self, group: FakeGroup) -> Iterator[asyncio.Event]:
        """Yield a member, who is told when there may be something."""
        member = asyncio.Event()
        self._members.add(member)
        self.changed()
        try:
            yield member
        finally:
            self._members.remove(member)
            for event_id in group.holds(member):
                del group.holders[event_id]
            self._look_again()

    def _handed_out(self, group: FakeGroup, member: object, room: int) -> Iterator[events_pb2.Event]:
        """Yield what the member gets next, and have it hold that."""
        for event in self.events[group.after :]:
            if len(group.holds(member)) >= room:
                return
            if event.event_id not in group.holders and event.event_id not in group.acknowledged:
                group.holders[event.event_id] = member
                group.tries[event.event_id] += 1
                yield event

    def _look_again(self) -> None:
        for member in self._members:
            member.set()
        self.changed()

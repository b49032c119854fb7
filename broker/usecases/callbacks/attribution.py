"""Which corp and share an event is about, from the share list."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from broker.domain.apps import App
from broker.domain.corps import ShareKind
from broker.domain.errors import BrokerError, RetryLater
from broker.domain.events.event import Event
from broker.domain.ports.clock import Clock
from broker.domain.ports.observer import Observer
from broker.domain.shares import AppShare
from broker.protocol.callbacks.message import Message
from broker.usecases.limits.recovery_budget import begin_recovery_budget
from broker.usecases.shares.directory import ShareDirectory

LOOKUP_SECONDS = 2.0
"""How long a listing for an unknown corp may take: WeCom drops the connection after 5 s (wecom-api C1)."""
WECOM_ITSELF = "sys"
"""The FromUserName of an event that no user caused."""


class Attribution:
    """Turn messages into events."""

    def __init__(self, shares: ShareDirectory, clock: Clock, observer: Observer) -> None:
        self._shares = shares
        self._clock = clock
        self._observer = observer

    async def look_up(self, app: App, *corp_ids: str, within: float = LOOKUP_SECONDS) -> None:
        """List the shares anew if one of the corps is unknown; give up after so many seconds."""
        foreign = [corp_id for corp_id in corp_ids if corp_id not in ("", app.corp_id)]
        unknown = [corp_id for corp_id in foreign if not self._shares.known(app, corp_id, None)]
        if not unknown:
            return
        try:
            async with _limited(within):
                await self._shares.find(app, unknown[0], None)
        except (BrokerError, TimeoutError) as error:
            # The event must not be lost because the list is unavailable.
            self._observer.background_failed(f"looking for corp {unknown[0]} of {app.name}", error)

    async def load(self, app: App, *, may_ask: bool, within: float) -> None:
        """Have the shares in memory, from WeCom only if it may be asked; give up after so many seconds."""
        try:
            async with _limited(within):
                await (self._shares.load(app) if may_ask else self._shares.recall_all(app))
        except (RetryLater, TimeoutError) as error:
            self._observer.background_failed(f"loading the shares of {app.name} in {app.corp_id}", error)
        except BrokerError:
            # The corp may not list its shares: most have none.
            return

    def shares_with(self, app: App, corp_id: str) -> list[AppShare]:
        """Return the known shares with a corp: of each kind that could be listed."""
        return self._shares.held_with(app, corp_id, None)

    def event(self, app: App, message: Message) -> Event:
        """Return the event of a message; a corp that is in no list is marked as unknown."""
        corp_id = message.corp_id or app.corp_id
        shares = self.shares_with(app, corp_id)
        share_kind, agent_id = _share(app, corp_id, shares, message.agent_id)
        return event_of(
            app.name,
            message,
            self._clock.now(),
            corp_id=corp_id,
            share_kind=share_kind,
            agent_id=agent_id,
            corp_unknown=corp_id != app.corp_id and not shares,
        )


@asynccontextmanager
async def _limited(seconds: float) -> AsyncIterator[None]:
    begin_recovery_budget()
    async with asyncio.timeout(seconds):
        yield


def event_of(
    app: str,
    message: Message,
    now: datetime,
    *,
    corp_id: str,
    share_kind: ShareKind | None = None,
    agent_id: int = 0,
    corp_unknown: bool = False,
) -> Event:
    """Return the event of a message."""
    return Event(
        app=app,
        corp_id=corp_id,
        share_kind=share_kind,
        agent_id=agent_id,
        user_id="" if message.from_user_name == WECOM_ITSELF else message.from_user_name,
        event_type=message.event_type,
        change_type=message.change_type,
        create_time=message.created or now,
        receive_time=now,
        fields=message.fields,
        xml=message.text,
        corp_unknown=corp_unknown,
    )


def _share(app: App, corp_id: str, shares: list[AppShare], agent_id: int) -> tuple[ShareKind | None, int]:
    """Return the kind and agent id of an event's share; its AgentID may be the parent's (wecom-api C5)."""
    if corp_id == app.corp_id:
        return ShareKind.OWN, app.agent_id
    named = [share for share in shares if share.agent_id == agent_id]
    found = named or shares
    return (found[0].share_kind, found[0].agent_id) if len(found) == 1 else (None, agent_id)

"""Who calls whom about what: the callbacks of all apps, and the events of this world."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from broker.simulator.callbacks.courier import Courier, Delivery, Verification
from broker.simulator.callbacks.kinds import OF_MEMBER, ChangeType, EventKind
from broker.simulator.callbacks.messages import Occasion
from broker.simulator.callbacks.outbox import Outbox
from broker.simulator.demo import PARENT, SUITE_ID
from broker.simulator.world.corps import AppId
from broker.simulator.world.people.userids import shown_userid
from broker.simulator.world.shares import BusinessType

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from broker.simulator.callbacks.callback import Callback
    from broker.simulator.callbacks.envelope import Format
    from broker.simulator.world.tokens import Owner
    from broker.simulator.world.world import World

_MESSAGE_ID_BYTES = 7
_SHARE_EVENTS = {
    BusinessType.CORP_GROUP: (EventKind.SHARE_AGENT_CHANGE, EventKind.SUITE_SHARE_AGENT_CHANGE),
    BusinessType.SUPPLY_CHAIN: (EventKind.SHARE_CHAIN_CHANGE, EventKind.SUITE_SHARE_CHAIN_CHANGE),
}
"""What the callback of a self-built app is told, and that of a suite."""


class Switchboard:
    """Hold the callbacks, and send events to them. Timestamps are of the world's time."""

    def __init__(self, world: World) -> None:
        self.outbox = Outbox()
        self._world = world
        self._callbacks: dict[AppId, Callback] = {}

    def set(self, callback: Callback, app: AppId = PARENT) -> None:
        """Let an app's events go there from now on; its shares are told by themselves."""
        self._callbacks[app] = callback

    def clear(self, app: AppId = PARENT) -> bool:
        """Let an app's events get lost from now on; say whether they went anywhere."""
        return self._callbacks.pop(app, None) is not None

    def of(self, app: AppId = PARENT) -> Callback:
        """Give the callback of an app. Raises LookupError."""
        if app not in self._callbacks:
            raise LookupError(f"{app.corpid} has no callback for app {app.agentid}")
        return self._callbacks[app]

    def occasion(
        self,
        kind: EventKind | str,
        corpid: str = "",
        userid: str = "",
        app: AppId = PARENT,
        *,
        business_type: BusinessType | None = None,
        agentid: int = 0,
        text: str = "你好",
        change_type: ChangeType | str = ChangeType.CORP_JOIN,
        suite_id: str = SUITE_ID,
    ) -> Occasion:
        """Let something happen in a corp that has the app; default the app's own. Raises ValueError.

        Without a userid it is the corp's first member; `agentid` stands in for the one that the corp has the
        app by. The corp may be one that is unknown here, or has the app no more.
        """
        owner = self._world.owner_of(corpid or app.corpid, app, business_type)
        return Occasion(
            kind=EventKind(kind),
            app=app,
            place=AppId(owner.app.corpid, agentid or owner.app.agentid or app.agentid),
            at=int(self._world.now()),
            userid=self._shown(owner, userid) if kind in OF_MEMBER else "",
            suite_id=suite_id,
            code=self._world.randbytes(32).hex(),
            text=text,
            message_id=int.from_bytes(self._world.randbytes(_MESSAGE_ID_BYTES), "big"),
            change_type=ChangeType(change_type),
        )

    async def send(
        self,
        kind: EventKind | str,
        corpid: str = "",
        userid: str = "",
        app: AppId = PARENT,
        *,
        count: int = 1,
        body_format: Format | None = None,
        business_type: BusinessType | None = None,
        agentid: int = 0,
        text: str = "你好",
        change_type: ChangeType | str = ChangeType.CORP_JOIN,
    ) -> list[Delivery]:
        """Let it happen so many times, one after the other, and give the outcomes; else as `occasion`.

        Raises LookupError where the app has no callback.
        """
        callback = self.of(app)
        callback = replace(callback, body_format=body_format or callback.body_format)

        def happened() -> Occasion:
            return self.occasion(
                kind,
                corpid,
                userid,
                app,
                business_type=business_type,
                agentid=agentid,
                text=text,
                change_type=change_type,
                suite_id=callback.suite(),
            )

        async with self._courier() as courier:
            return [await courier.deliver(callback, self.outbox.enter(happened())) for _ in range(count)]

    async def verify_url(self, app: AppId = PARENT, receive_id: str = "") -> Verification:
        """Save the URL once more; sealed for the app's own corp unless said. Raises LookupError."""
        async with self._courier() as courier:
            return await courier.verify_url(self.of(app), receive_id or app.corpid)

    def tell_share_changed(self, parent: AppId, business_type: BusinessType) -> None:
        """Tell the app's callback, if it has one, that its share list is another one."""
        if callback := self._callbacks.get(parent):
            kind = _SHARE_EVENTS[business_type][bool(callback.suite_id)]
            self.outbox.put(callback, self.occasion(kind, app=parent, suite_id=callback.suite()))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send what the world tells of by itself, while inside."""
        async with self._courier() as courier, self.outbox.emptied(courier):
            yield

    def _courier(self) -> AbstractAsyncContextManager[Courier]:
        return Courier.ready(self._world.now, self._world.randbytes, self._world.sleep)

    def _shown(self, owner: Owner, userid: str) -> str:
        corp = self._world.corps.find(owner.app.corpid)
        members = list(corp.members.values()) if corp else []
        if not userid:
            userid = members[0].userid if members else "nobody"
        return shown_userid(self._world.settings, owner, userid)

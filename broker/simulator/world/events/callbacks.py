"""The callbacks of all apps, and the events that are sent to them."""

from collections.abc import Callable
from typing import TypedDict, Unpack

from broker.simulator.world.corps import AppId, Corps
from broker.simulator.world.events.callback import SUITE_ID, Callback
from broker.simulator.world.events.event import Event
from broker.simulator.world.events.kinds import OF_MEMBER, ChangeType, EventKind
from broker.simulator.world.events.outbox import Outbox
from broker.simulator.world.people.userids import UserIds
from broker.simulator.world.randomness import Randomness
from broker.simulator.world.shares import BusinessType, Owner, Shares

_CODE_BYTES = 32
_MESSAGE_ID_BYTES = 7
_SHARE_EVENTS = {
    BusinessType.CORP_GROUP: (EventKind.SHARE_AGENT_CHANGE, EventKind.SUITE_SHARE_AGENT_CHANGE),
    BusinessType.SUPPLY_CHAIN: (EventKind.SHARE_CHAIN_CHANGE, EventKind.SUITE_SHARE_CHAIN_CHANGE),
}
"""The event for the callback of a self-built app, and that for a suite's."""
_STATES = {EventKind.CREATE_AUTH: "123", EventKind.CHANGE_AUTH: "abc"}


class Details(TypedDict, total=False):
    """Hold optional fields of an event; `agentid` replaces the app's agentid in that corp."""

    business_type: BusinessType | None
    agentid: int
    text: str
    change_type: ChangeType | str
    suite_id: str
    state: str
    detail: str
    raw: bytes | None


class Callbacks:
    """Hold the callbacks by app; `app` defaults to the world's main one."""

    def __init__(
        self,
        corps: Corps,
        shares: Shares,
        userids: UserIds,
        randomness: Randomness,
        now: Callable[[], float],
    ) -> None:
        self.outbox = Outbox()
        self._corps = corps
        self._shares = shares
        self._userids = userids
        self._randomness = randomness
        self._now = now
        self._callbacks: dict[AppId, Callback] = {}

    def set(self, callback: Callback, app: AppId | None = None) -> None:
        """Send an app's events there from now on; changes of its shares are sent automatically."""
        self._callbacks[app or self._corps.main_app] = callback

    def clear(self, app: AppId | None = None) -> bool:
        """Drop an app's events from now on; return whether it had a callback."""
        return self._callbacks.pop(app or self._corps.main_app, None) is not None

    def of(self, app: AppId | None = None) -> Callback:
        """Return the callback of an app. Raises LookupError."""
        app = app or self._corps.main_app
        if app not in self._callbacks:
            raise LookupError(f"{app.corpid} has no callback for app {app.agentid}")
        return self._callbacks[app]

    def event(
        self,
        kind: EventKind | str,
        corpid: str = "",
        userid: str = "",
        app: AppId | None = None,
        **details: Unpack[Details],
    ) -> Event:
        """Return a new event in a corp that has the app, by default the app's own. Raises ValueError.

        `userid` defaults to the corp's first member. The corp may be unknown here, or no longer have the
        app.
        """
        app = app or self._corps.main_app
        owner = self._shares.owner_of(corpid or app.corpid, app, details.get("business_type"))
        agentid = details.get("agentid") or owner.app.agentid or app.agentid
        return Event(
            kind=EventKind(kind),
            app=app,
            place=AppId(owner.app.corpid, agentid),
            at=int(self._now()),
            userid=self._shown(owner, userid) if kind in OF_MEMBER else "",
            suite_id=details.get("suite_id", SUITE_ID),
            state=details.get("state", _STATES.get(EventKind(kind), "")),
            detail=details.get("detail", ""),
            code=self._randomness.randbytes(_CODE_BYTES).hex(),
            text=details.get("text", "你好"),
            message_id=int.from_bytes(self._randomness.randbytes(_MESSAGE_ID_BYTES), "big"),
            raw=details.get("raw"),
            change_type=ChangeType(details.get("change_type", ChangeType.CORP_JOIN)),
        )

    def share_changed(self, parent: AppId, business_type: BusinessType) -> None:
        """Notify the app's callback, if it has one, that its share list has changed."""
        if (callback := self._callbacks.get(parent)) and not callback.robot:
            kind = _SHARE_EVENTS[business_type][bool(callback.suite_id)]
            self.outbox.put(callback, self.event(kind, app=parent, suite_id=callback.suite()))

    def _shown(self, owner: Owner, userid: str) -> str:
        corp = self._corps.find(owner.app.corpid)
        members = list(corp.members.values()) if corp else []
        if not userid:
            userid = members[0].userid if members else "nobody"
        return self._userids.shown(owner, userid)

"""Events of suites and providers: made with the ids that the provider knows, and queued to be sent."""

from dataclasses import replace
from typing import TypedDict, Unpack

from broker.simulator.world.console.addresses import Addresses, channel_of
from broker.simulator.world.corps import AppId, Corp, Corps
from broker.simulator.world.events.callback import Callback
from broker.simulator.world.events.event import Event
from broker.simulator.world.events.kinds import COMMANDS, OF_MEMBER, SYSTEM, EventKind
from broker.simulator.world.events.outbox import Outbox
from broker.simulator.world.randomness import Randomness
from broker.simulator.world.settings import Settings
from broker.simulator.world.suites.provider import Provider
from broker.simulator.world.suites.suite import Suite
from broker.simulator.world.suites.suites import Suites

_CODE_BYTES = 32
_MESSAGE_ID_BYTES = 7


class Details(TypedDict, total=False):
    """Hold optional fields of an event; `agentid` replaces the app's agentid in that corp."""

    userid: str
    agentid: int
    code: str
    state: str
    detail: str
    text: str
    raw: bytes | None


class SuiteEvents:
    """Make events, and send them to the URLs that the provider has configured."""

    def __init__(
        self, corps: Corps, suites: Suites, outbox: Outbox, settings: Settings, randomness: Randomness
    ) -> None:
        self.addresses = Addresses()
        self._corps = corps
        self._suites = suites
        self._outbox = outbox
        self._settings = settings
        self._randomness = randomness

    def push(self, callback: Callback | None, event: Event) -> Event:
        """Queue an event; without a URL for it nobody is told."""
        if callback is not None:
            self._outbox.put(callback, event)
        return event

    def callback(self, suite: Suite, kind: EventKind, corp: Corp | None) -> Callback | None:
        """Find the callback that gets events of a kind in a corp that authorised the suite."""
        corpid = corp.corpid if corp else ""
        shown = self._suites.provider_of(suite).corpid(corpid) if corp else ""
        return self.addresses.find(suite, channel_of(suite, kind), corpid, shown)

    def event(
        self,
        suite: Suite,
        kind: EventKind,
        at: float,
        corp: Corp | None = None,
        *,
        parent: AppId | None = None,
        **details: Unpack[Details],
    ) -> Event:
        """Return a new event of a suite in a corp that has it, or had it. Raises ValueError.

        With a `parent` it happens in a child corp, in that app, which the parent shares with it.
        """
        if kind in SYSTEM:
            raise ValueError(f"{kind} is a provider's, not a suite's")
        if corp is None and kind not in COMMANDS:
            raise ValueError(f"{kind} needs a corp")
        provider = self._suites.provider_of(suite)
        event = self._event(provider, kind, at, self._app(suite, corp, details.get("agentid", 0)), details)
        for_provider = kind is EventKind.CREATE_AUTH and self._settings.create_auth_for_provider
        return replace(
            event,
            app=_shown(provider, parent) if parent else event.place,
            suite_id=suite.suite_id,
            share_cdata=self._settings.share_cdata,
            receive_id=provider.corp_id if for_provider else "",
        )

    def system_event(
        self,
        provider: Provider,
        kind: EventKind,
        at: float,
        corp: Corp | None = None,
        **details: Unpack[Details],
    ) -> Event:
        """Return a new system event of a provider, perhaps about a corp. Raises ValueError."""
        if kind not in SYSTEM:
            raise ValueError(f"{kind} is no system event")
        place = AppId(corp.corpid if corp else "", 0)
        return replace(self._event(provider, kind, at, place, details), app=AppId(provider.corp_id, 0))

    def _event(self, provider: Provider, kind: EventKind, at: float, place: AppId, details: Details) -> Event:
        shown = _shown(provider, place)
        about_member = kind in OF_MEMBER or kind in (EventKind.CHANGE_CONTACT, EventKind.AUTO_ACTIVATE)
        return Event(
            kind=kind,
            app=shown,
            place=shown,
            at=int(at),
            userid=self._userid(provider, place.corpid, details.get("userid", "")) if about_member else "",
            code=details.get("code") or self._randomness.randbytes(_CODE_BYTES).hex(),
            state=details.get("state", ""),
            detail=details.get("detail", ""),
            text=details.get("text", "你好"),
            message_id=int.from_bytes(self._randomness.randbytes(_MESSAGE_ID_BYTES), "big"),
            raw=details.get("raw"),
        )

    def _app(self, suite: Suite, corp: Corp | None, agentid: int = 0) -> AppId:
        known = self._suites.find_authorization(suite.suite_id, corp.corpid) if corp else None
        return AppId(corp.corpid if corp else "", agentid or (known.agentid if known else 0))

    def _userid(self, provider: Provider, corpid: str, userid: str) -> str:
        corp = self._corps.find(corpid)
        members = list(corp.members.values()) if corp else []
        return provider.userid(corpid, userid or (members[0].userid if members else "nobody"))


def _shown(provider: Provider, app: AppId) -> AppId:
    return AppId(provider.corpid(app.corpid) if app.corpid else "", app.agentid)

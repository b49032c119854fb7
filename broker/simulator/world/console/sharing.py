"""How a parent corp shares a suite's app with its children (wecom-api B13)."""

from collections.abc import Callable, Sequence

from broker.simulator.world.console.suite_events import SuiteEvents
from broker.simulator.world.corps import App, AppId, Corp, Corps
from broker.simulator.world.events.kinds import EventKind
from broker.simulator.world.settings import CustomizedShare, Settings
from broker.simulator.world.shares import BusinessType, Owner, Share, Shares
from broker.simulator.world.suites.authorization import Authorization
from broker.simulator.world.suites.suite import Suite
from broker.simulator.world.suites.suites import Suites, next_agentid
from broker.simulator.world.tokens import TokenBook

_OF_THIRD_PARTY = {
    BusinessType.CORP_GROUP: EventKind.SUITE_SHARE_AGENT_CHANGE,
    BusinessType.SUPPLY_CHAIN: EventKind.SUITE_SHARE_CHAIN_CHANGE,
}
_OF_CUSTOMIZED = {
    BusinessType.CORP_GROUP: EventKind.SHARE_AGENT_CHANGE,
    BusinessType.SUPPLY_CHAIN: EventKind.SHARE_CHAIN_CHANGE,
}


class SuiteSharing:
    """Make and end the shares of suites' apps."""

    def __init__(
        self,
        *,
        corps: Corps,
        suites: Suites,
        shares: Shares,
        tokens: TokenBook,
        events: SuiteEvents,
        settings: Settings,
        now: Callable[[], float],
    ) -> None:
        self._corps = corps
        self._suites = suites
        self._shares = shares
        self._tokens = tokens
        self._events = events
        self._settings = settings
        self._now = now

    def installs(self, suite: Suite, way: CustomizedShare | None) -> bool:
        """Return whether each child gets an installation of its own. Raises ValueError."""
        if not suite.customized:
            if way not in (None, CustomizedShare.CREATE_AUTH):
                raise ValueError("a third-party app is always installed in each child")
            return True
        return (way or self._settings.customized_share) is CustomizedShare.CREATE_AUTH

    def enter(self, suite: Suite, parent: AppId, child: Corp, business_type: BusinessType) -> AppId:
        """Share the parent's app with a child, where it is an app without a secret, or the installed one."""
        known = self._suites.find_authorization(suite.suite_id, child.corpid)
        place = known.app if known and known.active else self._place(suite, child)
        self._shares.add(parent, place, business_type)
        return place

    def child(self, parent: AppId, corpid: str) -> AppId:
        """Return the child's app that the parent shares, by the plain id of its corp. Raises LookupError."""
        owner = self._shares.owner_of(corpid, parent)
        if not owner.app.agentid:
            raise LookupError(f"{parent.corpid} does not share app {parent.agentid} with {corpid}")
        return owner.app

    def listed(self, parent: AppId, business_type: BusinessType) -> Sequence[Share]:
        """List the shares of a parent's app."""
        return self._shares.listed(parent, business_type)

    def end(self, parent: AppId, child: AppId, business_type: BusinessType) -> bool:
        """End a share, and if the settings say so its tokens; return whether there was one."""
        removed = self._shares.remove(parent, child, business_type)
        if removed and self._settings.unsharing_kills_tokens:
            self._tokens.kill_derived(Owner(child, parent, business_type), self._now())
        return removed

    def end_all(self, app: AppId) -> None:
        """End every share from or to an app that is gone."""
        for share in list(self._shares):
            if app in (share.parent, share.child):
                self.end(share.parent, share.child, share.business_type)

    def tell(self, suite: Suite, parent: Authorization, business_type: BusinessType) -> None:
        """Tell the provider that the parent's list has changed, in the form that a suite of its kind gets."""
        kind = (_OF_CUSTOMIZED if suite.customized else _OF_THIRD_PARTY)[business_type]
        corp = self._corps.get(parent.corpid)
        event = self._events.event(suite, kind, self._now(), corp)
        self._events.push(self._events.callback(suite, kind, corp), event)

    def _place(self, suite: Suite, child: Corp) -> AppId:
        for app in child.apps.values():
            if app.suite_id == suite.suite_id:
                return AppId(child.corpid, app.agentid)
        self._suites.introduce(suite, child)
        place = AppId(child.corpid, next_agentid(child))
        child.apps[place.agentid] = App(place.agentid, suite.name, suite_id=suite.suite_id)
        return place

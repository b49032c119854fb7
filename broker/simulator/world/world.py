"""The world of a simulator: corps, shares, tokens, logins, limits, faults, and its own time."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

from broker.simulator.world.call_log import CallLog
from broker.simulator.world.corps import App, AppId, Corp, Corps, Name
from broker.simulator.world.events.callbacks import Callbacks
from broker.simulator.world.fault_script import FaultScript
from broker.simulator.world.limits import Quotas, SecretBans
from broker.simulator.world.media import MediaStore
from broker.simulator.world.paths import path_of
from broker.simulator.world.people.logins import Logins
from broker.simulator.world.people.people import People
from broker.simulator.world.randomness import Randomness
from broker.simulator.world.settings import Settings
from broker.simulator.world.shares import BusinessType, Owner, Share, Shares
from broker.simulator.world.tickets import TicketKind, Tickets
from broker.simulator.world.tokens import AppToken, Grant, Habit, TokenBook

Sleep = Callable[[float], Awaitable[object]]


class World:
    """Hold everything that WeCom knows; may be changed while the simulator runs.

    Where no app is named, the default is the first one with a secret: `corps.main_app`.
    """

    def __init__(
        self,
        *,
        settings: Settings | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Sleep = asyncio.sleep,
        chance: random.Random | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self.randomness = Randomness(chance or random.SystemRandom())
        self.sleep = sleep
        self._clock = clock
        self._advanced = 0.0
        self.corps = Corps()
        self.shares = Shares()
        self.tokens = TokenBook(self.randomness.token)
        self.tickets = Tickets(self.randomness.ticket, self.settings)
        self.logins = Logins(self.settings, self.randomness)
        self.people = People(self.corps, self.shares, self.logins, self.randomness, self.now)
        self.media = MediaStore(self.randomness.code)
        self.faults = FaultScript()
        self.quotas = Quotas()
        self.bans = SecretBans()
        self.log = CallLog()
        self.callbacks = Callbacks(self.corps, self.shares, self.settings, self.randomness, self.now)

    def now(self) -> float:
        """Return the time of this world, in seconds since the epoch."""
        return self._clock() + self._advanced

    def advance(self, seconds: float) -> None:
        """Advance the time of this world only."""
        self._advanced += seconds

    def hint(self) -> str:
        """Return the digits that WeCom puts into an errmsg."""
        return self.randomness.hint(self.now())

    def add_corp(self, corpid: str, name: Name) -> Corp:
        """Add a corp."""
        return self.corps.add(Corp(corpid, name))

    def add_app(self, corpid: str, agentid: int, secret: str | None = None, name: str = "示例应用") -> App:
        """Add an app to a corp; one without a secret is shared by a parent. Raises LookupError."""
        app = self.corps.get(corpid).apps[agentid] = App(agentid, name, secret)
        return app

    def app(self, corpid: str, agentid: int) -> App:
        """Return an app. Raises LookupError."""
        return self.corps.get(corpid).app(agentid)

    def share(
        self,
        parent: AppId,
        child: AppId,
        business_type: BusinessType = BusinessType.CORP_GROUP,
        *,
        corp_name: Name = "",
        confirmed: bool = True,
    ) -> Share:
        """Share a parent's app with a child corp, adding the corp where needed. Raises LookupError.

        The app's callback is notified if the child enters or leaves the list.
        """
        shared = self.app(*parent)
        corp = self.corps.find(child.corpid) or self.add_corp(child.corpid, corp_name or child.corpid)
        corp.name = corp_name or corp.name
        corp.apps.setdefault(child.agentid, App(child.agentid, shared.name))
        was_listed = self.shares.find(parent, child, business_type) is not None
        share = self.shares.add(parent, child, business_type, confirmed=confirmed)
        if confirmed is not was_listed:
            self.callbacks.share_changed(parent, business_type)
        return share

    def unshare(
        self, parent: AppId, child: AppId, business_type: BusinessType = BusinessType.CORP_GROUP
    ) -> bool:
        """End a share, and the tokens derived from it if the settings say so; return whether there was one.

        The app's callback is notified if the child was in the list.
        """
        was_listed = self.shares.find(parent, child, business_type) is not None
        removed = self.shares.remove(parent, child, business_type)
        if removed and self.settings.unsharing_kills_tokens:
            self.tokens.kill_derived(Owner(child, parent, business_type), self.now())
        if was_listed:
            self.callbacks.share_changed(parent, business_type)
        return removed

    def grant(self, path: str, owner: Owner) -> Grant:
        """Answer a fetch of an access_token, by the endpoint's habit."""
        return self.tokens.grant(
            AppToken,
            owner,
            habit=self.settings.habit_of(path),
            now=self.now(),
            lifetime=self.settings.token_lifetime,
            old_value_alive=self.settings.old_value_alive,
        )

    def set_habit(self, habit: Habit, endpoint: str = "*") -> None:
        """Choose what repeated fetches return, at one endpoint or at all of them. Raises ValueError."""
        if endpoint == "*":
            self.settings.habit = habit
            self.settings.habits.clear()
        else:
            self.settings.habits[path_of(endpoint)] = habit

    def kill(self, value: str) -> bool:
        """Kill a token or a ticket early; return whether it was known."""
        return self.tokens.kill(value) or self.tickets.kill(value)

    def kill_app(self, corpid: str, agentid: int) -> int:
        """Kill all living tokens of an app; return how many."""
        return self.tokens.kill_app(AppId(corpid, agentid), self.now())

    def kill_tickets(self, corpid: str, agentid: int, kind: TicketKind | str) -> int:
        """Kill all living tickets of an app, or of its corp; return how many."""
        return self.tickets.kill_all(TicketKind(kind), AppId(corpid, agentid), self.now())

"""The world of a simulator: corps, shares, tokens, logins, limits, faults, and its own time."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

from broker.simulator.world.call_log import CallLog
from broker.simulator.world.console.console import Console
from broker.simulator.world.console.sharing import SuiteSharing
from broker.simulator.world.console.suite_events import SuiteEvents
from broker.simulator.world.corps import App, AppId, Corp, Corps, Name
from broker.simulator.world.events.callbacks import Callbacks
from broker.simulator.world.fault_script import FaultScript
from broker.simulator.world.limits import Quotas, SecretBans
from broker.simulator.world.media import MediaStore
from broker.simulator.world.paths import path_of
from broker.simulator.world.people.logins import Logins
from broker.simulator.world.people.people import People
from broker.simulator.world.people.userids import UserIds
from broker.simulator.world.randomness import Randomness
from broker.simulator.world.settings import Settings
from broker.simulator.world.shares import BusinessType, Owner, Share, Shares
from broker.simulator.world.suites.suites import Suites
from broker.simulator.world.tickets import TicketKind, Tickets
from broker.simulator.world.tokens import (
    AppToken,
    Grant,
    Habit,
    ProviderToken,
    SuiteToken,
    TokenBook,
    TokenKind,
)

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
        self.suites = Suites(self.corps, self.settings, self.randomness, self.now)
        self.userids = UserIds(self.settings, self.suites)
        self.tokens = TokenBook(self.randomness.token)
        self.books = {
            AppToken: self.tokens,
            SuiteToken: TokenBook(self.randomness.token),
            ProviderToken: TokenBook(self.randomness.token),
        }
        self.tickets = Tickets(self.randomness.ticket, self.settings)
        self.logins = Logins(self.settings, self.randomness)
        self.people = People(self.corps, self.shares, self.suites, self.logins, self.randomness, self.now)
        self.media = MediaStore(self.randomness.code)
        self.faults = FaultScript()
        self.quotas = Quotas()
        self.bans = SecretBans()
        self.log = CallLog()
        self.callbacks = Callbacks(self.corps, self.shares, self.userids, self.randomness, self.now)
        self.console = self._console()

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

    def grant(self, path: str, owner: Owner, kind: TokenKind = AppToken) -> Grant:
        """Answer a fetch of a token, by the endpoint's habit."""
        return self.books[kind].grant(
            kind,
            owner,
            habit=self.settings.habit_of(path),
            now=self.now(),
            lifetime=self._lifetime(kind),
            old_value_alive=self.settings.old_value_alive,
        )

    def count_wrong_secret(self, ip: str) -> None:
        """Count a wrong secret from an address, which may ban it."""
        limit, seconds = self.settings.wrong_secret_limit, self.settings.ban_seconds
        self.bans.wrong_secret(ip, self.now(), limit=limit, seconds=seconds)

    def set_habit(self, habit: Habit, endpoint: str = "*") -> None:
        """Choose what repeated fetches return, at one endpoint or at all of them. Raises ValueError."""
        if endpoint == "*":
            self.settings.habit = habit
            self.settings.habits.clear()
        else:
            self.settings.habits[path_of(endpoint)] = habit

    def kill(self, value: str) -> bool:
        """Kill a token or a ticket early; return whether it was known."""
        return any(book.kill(value) for book in self.books.values()) or self.tickets.kill(value)

    def kill_app(self, corpid: str, agentid: int) -> int:
        """Kill all living tokens of an app; return how many."""
        return self.tokens.kill_app(self.corps.app_id(corpid, agentid), self.now())

    def kill_tickets(self, corpid: str, agentid: int, kind: TicketKind | str) -> int:
        """Kill all living tickets of an app, or of its corp; return how many."""
        return self.tickets.kill_all(TicketKind(kind), self.corps.app_id(corpid, agentid), self.now())

    def _console(self) -> Console:
        corps, suites, settings = self.corps, self.suites, self.settings
        events = SuiteEvents(corps, suites, self.callbacks.outbox, settings, self.randomness)
        sharing = SuiteSharing(
            corps=corps,
            suites=suites,
            shares=self.shares,
            tokens=self.tokens,
            events=events,
            settings=settings,
            now=self.now,
        )
        return Console(
            suites=suites,
            corps=corps,
            tokens=self.tokens,
            events=events,
            sharing=sharing,
            settings=settings,
            now=self.now,
        )

    def _lifetime(self, kind: TokenKind) -> float:
        if kind is SuiteToken:
            return self.settings.suite_token_lifetime
        return (
            self.settings.provider_token_lifetime if kind is ProviderToken else self.settings.token_lifetime
        )

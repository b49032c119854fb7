"""The world that the simulator shows: corps, shares, tokens, logins, limits, faults, and its own time."""

import asyncio
import base64
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Self

from broker.simulator import demo
from broker.simulator.callbacks.switchboard import Switchboard
from broker.simulator.demo import PARENT
from broker.simulator.registry import path_of
from broker.simulator.world.call_log import CallLog, digest
from broker.simulator.world.corps import App, AppId, Corp, Corps, Member
from broker.simulator.world.faults import FaultScript
from broker.simulator.world.limits import Quotas, SecretBans
from broker.simulator.world.media import MediaStore
from broker.simulator.world.people.logins import CodeKind, Logins, Visitor
from broker.simulator.world.people.mini_program import APP_ID, encrypt_data
from broker.simulator.world.settings import Settings
from broker.simulator.world.shares import BusinessType, Share, Shares
from broker.simulator.world.tickets import TicketKind, Tickets
from broker.simulator.world.tokens import AppToken, Grant, Habit, Owner, TokenBook

Sleep = Callable[[float], Awaitable[object]]

_TOKEN_BYTES = 160
_TICKET_BYTES = 64
_KEY_BYTES = 16


class World:
    """Hold everything that WeCom knows; may be changed while the simulator runs."""

    def __init__(
        self,
        *,
        settings: Settings | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Sleep = asyncio.sleep,
        chance: random.Random | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self.corps = Corps()
        self.shares = Shares()
        self.tokens = TokenBook(self._mint)
        self.tickets = Tickets(self._mint_ticket, self.settings)
        self.logins = Logins(self.settings, self._mint_code, self._mint_key)
        self.media = MediaStore(lambda: self._mint_code(32))
        self.faults = FaultScript()
        self.quotas = Quotas()
        self.bans = SecretBans()
        self.log = CallLog()
        self.callbacks = Switchboard(self)
        self.sleep = sleep
        self._clock = clock
        self._advanced = 0.0
        self._chance = chance or random.SystemRandom()

    @classmethod
    def demo(
        cls,
        *,
        settings: Settings | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Sleep = asyncio.sleep,
    ) -> Self:
        """Make the world of the demo: a parent corp and a handful of children."""
        world = cls(settings=settings, clock=clock, sleep=sleep)
        demo.furnish(world)
        return world

    @classmethod
    def with_children(
        cls, number: int, *, settings: Settings | None = None, clock: Callable[[], float] = time.time
    ) -> Self:
        """Make a world with the demo's parent corp and so many children in 企业互联, and no others."""
        world = cls(settings=settings, clock=clock)
        demo.furnish_parent(world)
        world.add_children(number)
        return world

    def add_children(self, number: int) -> None:
        """Share the demo's app with so many more children in 企业互联. Raises LookupError."""
        demo.add_children(self, number)

    def now(self) -> float:
        """Give the time of this world, in seconds since the epoch."""
        return self._clock() + self._advanced

    def advance(self, seconds: float) -> None:
        """Let time pass in this world only."""
        self._advanced += seconds

    def randbytes(self, size: int) -> bytes:
        """Give so many bytes by chance."""
        return self._chance.randbytes(size)

    def hint(self) -> str:
        """Make the digits that WeCom puts into an errmsg."""
        return f"{int(self.now())}{self._chance.randrange(10**8):08d}"

    def add_corp(self, corpid: str, name: str) -> Corp:
        """Found a corp."""
        return self.corps.add(Corp(corpid, name))

    def add_app(self, corpid: str, agentid: int, secret: str | None = None, name: str = "示例应用") -> App:
        """Put an app into a corp; without a secret it is one that a parent shared."""
        app = self._corp(corpid).apps[agentid] = App(agentid, name, secret)
        return app

    def app(self, corpid: str, agentid: int) -> App:
        """Give an app. Raises LookupError."""
        corp = self._corp(corpid)
        if agentid not in corp.apps:
            raise LookupError(f"{corpid} has no app {agentid}")
        return corp.apps[agentid]

    def share(
        self,
        parent: AppId,
        child: AppId,
        business_type: BusinessType = BusinessType.CORP_GROUP,
        *,
        corp_name: str = "",
        confirmed: bool = True,
    ) -> Share:
        """Share a parent's app with a child corp, founding it where needed. Raises LookupError.

        Its callback is told once the child is, or is no longer, in the list.
        """
        shared = self.app(*parent)
        corp = self.corps.find(child.corpid) or self.add_corp(child.corpid, corp_name or child.corpid)
        corp.name = corp_name or corp.name
        corp.apps.setdefault(child.agentid, App(child.agentid, shared.name))
        was_listed = self.shares.find(parent, child, business_type) is not None
        share = self.shares.add(parent, child, business_type, confirmed=confirmed)
        if confirmed is not was_listed:
            self.callbacks.tell_share_changed(parent, business_type)
        return share

    def unshare(
        self, parent: AppId, child: AppId, business_type: BusinessType = BusinessType.CORP_GROUP
    ) -> bool:
        """Take a share back, and the tokens derived from it if settings say so; say whether there was one.

        The app's callback is told if the child was in the list.
        """
        was_listed = self.shares.find(parent, child, business_type) is not None
        removed = self.shares.remove(parent, child, business_type)
        if removed and self.settings.unsharing_kills_tokens:
            self.tokens.kill_derived(Owner(child, parent, business_type), self.now())
        if was_listed:
            self.callbacks.tell_share_changed(parent, business_type)
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
        """Choose what repeated fetches answer, at one endpoint or at all of them. Raises ValueError."""
        if endpoint == "*":
            self.settings.habit = habit
            self.settings.habits.clear()
        else:
            self.settings.habits[path_of(endpoint)] = habit

    def kill(self, value: str) -> bool:
        """Kill a token or a ticket early; say whether it was known."""
        return self.tokens.kill(value) or self.tickets.kill(value)

    def kill_app(self, corpid: str, agentid: int) -> int:
        """Kill all living tokens of an app; say how many."""
        return self.tokens.kill_app(AppId(corpid, agentid), self.now())

    def ticket_of(self, corpid: str, agentid: int, kind: TicketKind | str) -> str:
        """Give the jsapi_ticket that was handed out last, for "corp" or "agent". Raises LookupError."""
        return self.tickets.latest(TicketKind(kind), AppId(corpid, agentid))

    def kill_tickets(self, corpid: str, agentid: int, kind: TicketKind | str) -> int:
        """Kill all living tickets of an app, or of its corp; say how many."""
        return self.tickets.kill_all(TicketKind(kind), AppId(corpid, agentid), self.now())

    def login_code(
        self,
        corpid: str,
        userid: str,
        app: AppId = PARENT,
        *,
        privateinfo: bool = False,
        business_type: BusinessType | None = None,
    ) -> str:
        """Let a member follow an app's authorize link, and give the code. Raises LookupError.

        The plain userid is asked for, and who isn't there joins. `business_type` chooses where the corp has
        the app through both.
        """
        visitor = self._visitor(corpid, userid, app, business_type)
        return self.logins.add_code(CodeKind.OAUTH, app, visitor, self.now(), privateinfo=privateinfo)

    def visitor_code(self, openid: str, external_userid: str = "", app: AppId = PARENT) -> str:
        """Let somebody who is no member follow an app's authorize link, and give the code."""
        visitor = Visitor(openid=openid, external_userid=external_userid)
        return self.logins.add_code(CodeKind.OAUTH, app, visitor, self.now())

    def js_code(
        self,
        corpid: str,
        userid: str,
        app: AppId = PARENT,
        *,
        business_type: BusinessType | None = None,
    ) -> str:
        """Let a member open the mini-program of an app, and give the code; else as `login_code`."""
        visitor = self._visitor(corpid, userid, app, business_type)
        return self.logins.add_code(CodeKind.JS, app, visitor, self.now())

    def encrypt_data(self, corpid: str, userid: str, fields: Mapping[str, object]) -> tuple[str, str]:
        """Give encryptedData and iv as a member's mini-program sends them now. Raises LookupError."""
        watermark = {"timestamp": int(self.now()), "appid": APP_ID}
        key = self.session_key_of(corpid, userid)
        return encrypt_data(key, {**fields, "watermark": watermark}, self.randbytes(16))

    def session_key_of(self, corpid: str, userid: str) -> str:
        """Give the session_key that a member's mini-program holds: a child's own, once there is one.

        Raises LookupError.
        """
        session = self.logins.latest_session(corpid, userid)
        return session.child_session_key or session.session_key

    def owner_of(self, corpid: str, app: AppId, business_type: BusinessType | None) -> Owner:
        """Say by which app, and through which share, a corp has the app."""
        if corpid == app.corpid:
            return Owner(app)
        kinds = [business_type] if business_type is not None else list(BusinessType)
        for kind in kinds:
            for share in self.shares.listed(app, kind):
                if share.child.corpid == corpid:
                    return Owner(share.child, app, kind)
        # The share was taken back, or is not confirmed yet: people who have the link follow it all the same.
        return Owner(AppId(corpid, 0), app, kinds[0])

    def times_sent(self, code: str) -> int:
        """Count the calls that carried a login code, whatever became of them."""
        return self.log.codes[digest(code)]

    def calls(self, endpoint: str | None = None) -> int:
        """Count the calls so far, of one endpoint or of all. Raises ValueError."""
        return self.log.total() if endpoint is None else self.log.traffic(path_of(endpoint)).calls

    def in_flight(self, endpoint: str) -> int:
        """Count the calls of an endpoint that are not answered yet. Raises ValueError."""
        return self.log.traffic(path_of(endpoint)).in_flight

    def max_in_flight(self, endpoint: str) -> int:
        """Give the most calls of an endpoint that were ever under way at once. Raises ValueError."""
        return self.log.traffic(path_of(endpoint)).max_in_flight

    def _corp(self, corpid: str) -> Corp:
        if (corp := self.corps.find(corpid)) is None:
            raise LookupError(f"there is no corp {corpid}")
        return corp

    def _visitor(self, corpid: str, userid: str, app: AppId, business_type: BusinessType | None) -> Visitor:
        corp = self._corp(corpid)
        member = corp.members.get(userid.lower())
        if member is None:
            corp.add_member(member := Member(userid, userid))
        return Visitor(self.owner_of(corp.corpid, app, business_type), member.userid)

    def _mint(self) -> str:
        return self._mint_code(_TOKEN_BYTES)

    def _mint_ticket(self) -> str:
        return self._mint_code(_TICKET_BYTES)

    def _mint_code(self, size: int) -> str:
        return base64.urlsafe_b64encode(self.randbytes(size)).decode().rstrip("=")

    def _mint_key(self) -> str:
        return base64.b64encode(self.randbytes(_KEY_BYTES)).decode()

"""The simulated WeCom in the test's process: its world and endpoints, without HTTP, on the test's clock."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from broker.adapters.wecom import call as broker_call
from broker.domain.apps import App
from broker.domain.corps import ShareKind
from broker.domain.errors import BrokerError
from broker.domain.ports.rate_gate import UpstreamGate
from broker.domain.secret import Secret
from broker.domain.shares import AppShare
from broker.simulator.checks import Incoming, answer
from broker.simulator.endpoints import ENDPOINTS
from broker.simulator.world import World
from broker.simulator.world.corps import AppId
from broker.simulator.world.settings import Settings
from broker.simulator.world.shares import BusinessType
from broker.simulator.world.tokens import Habit
from tests.kit.memory.fake_clock import FakeClock

NO_TIME = timedelta(0)


class Endpoint(StrEnum):
    """The endpoints that the broker calls."""

    APP_TOKEN = "/cgi-bin/gettoken"
    SHARES = "/cgi-bin/corpgroup/corp/list_app_share_info"
    CHILD_TOKEN = "/cgi-bin/corpgroup/corp/gettoken"
    CORP_TICKET = "/cgi-bin/get_jsapi_ticket"
    AGENT_TICKET = "/cgi-bin/ticket/get"


@dataclass
class Call:
    """One call that reached WeCom."""

    endpoint: Endpoint
    subject: str
    began: datetime
    replica: int
    ended: datetime | None = None
    error: BrokerError | None = None


class SimulatedWecom:
    """WeCom for the whole fleet: it answers like the simulator, and delays and fails calls as a test says."""

    def __init__(self, clock: FakeClock, app: App, shares: list[AppShare], lifetime: timedelta) -> None:
        self._clock = clock
        settings = Settings(habit=Habit.NEW_VALUE_KILLS_OLD, unsharing_kills_tokens=False)
        self.world = World(settings=settings, clock=lambda: clock.now().timestamp())
        self.lifetime = lifetime
        self.delay = NO_TIME
        self.delays: dict[str, timedelta] = {}
        """By subject, instead of `delay`."""
        self.refusals: dict[str, BrokerError] = {}
        """What every call about a subject fails with."""
        self.answers_as_asked = False
        """Whether an answer is computed when the call arrives, not when the answer is sent."""
        self.shares = shares
        """The corps that the app is shared with; tests change the list."""
        self.unreadable = 0
        """How many entries of each listing cannot be read."""
        self.calls: list[Call] = []
        self.in_flight: Counter[str] = Counter()
        self.most_at_once: Counter[str] = Counter()
        self.most_in_flight = 0
        self.on_call: Callable[[Call, SimulatedWecom], None] = lambda call, wecom: None
        self._shared: list[AppShare] = []
        self._failures: dict[Endpoint, list[Callable[[], BrokerError]]] = {}
        self._last_value: dict[str, str] = {}
        self.set_secret(app)

    def set_secret(self, app: App, secret: str = "") -> None:
        """Set the app's secret, its own by default; add its corp if it is missing."""
        if self.world.corps.find(app.corp_id) is None:
            self.world.add_corp(app.corp_id, app.corp_id)
        self.world.add_app(app.corp_id, app.agent_id, secret or app.secret.reveal())

    @property
    def habit(self) -> Habit:
        """What WeCom returns when a credential is fetched again before it expires."""
        return self.world.settings.habit

    @habit.setter
    def habit(self, habit: Habit) -> None:
        self.world.set_habit(habit)

    @property
    def lifetime(self) -> timedelta:
        """Return how long a new credential lives."""
        return timedelta(seconds=self.world.settings.token_lifetime)

    @lifetime.setter
    def lifetime(self, lifetime: timedelta) -> None:
        seconds = lifetime.total_seconds()
        self.world.settings.token_lifetime = self.world.settings.ticket_lifetime = seconds

    def fail(self, endpoint: Endpoint, error: Callable[[], BrokerError], times: int = 1_000_000) -> None:
        """Make the next calls of the endpoint fail with this error."""
        self._failures[endpoint] = [error] * times

    def recover(self) -> None:
        """Answer without errors again."""
        self._failures.clear()

    def count(self, endpoint: Endpoint | None = None, subject: str | None = None) -> int:
        """Return the number of calls."""
        return sum(
            (endpoint is None or call.endpoint is endpoint) and (subject is None or call.subject == subject)
            for call in self.calls
        )

    def last_value(self, subject: str) -> Secret | None:
        """Return the subject's latest credential."""
        value = self._last_value.get(subject)
        return Secret(value) if value else None

    def values(self) -> set[str]:
        """Return the latest credential of each subject."""
        return set(self._last_value.values())

    def kill(self, value: Secret) -> None:
        """Kill a credential before it expires."""
        assert self.world.kill(value.reveal())

    def prolong(self, value: Secret, duration: timedelta) -> None:
        """Make a token live longer than its answer said."""
        token = self.world.tokens.find(value.reveal())
        assert token
        token.expires_at += duration.total_seconds()
        token.issued_at += duration.total_seconds()

    def is_alive(self, value: Secret) -> bool:
        """Return whether WeCom accepts the token."""
        token = self.world.tokens.find(value.reveal())
        return token is not None and token.alive(self.world.now())

    async def answer(self, call: broker_call.Call, replica: int) -> broker_call.Answer:
        """Record a call, and answer it after the delay. Raises the test's error, or the errcode's."""
        subject = _subject(call)
        record = Call(Endpoint(call.endpoint), subject, self._clock.now(), replica)
        self.calls.append(record)
        self.on_call(record, self)
        self.in_flight[subject] += 1
        self.most_at_once[subject] = max(self.most_at_once[subject], self.in_flight[subject])
        self.most_in_flight = max(self.most_in_flight, self.in_flight.total())
        try:
            early = self._answer(call) if self.answers_as_asked else None
            await self._clock.sleep(self.delays.get(subject, self.delay))
            if refusal := self.refusals.get(subject):
                # The broker adds to the errors that it meets.
                raise type(refusal)(refusal.message, **refusal.metadata)
            if failures := self._failures.get(record.endpoint):
                error = failures.pop()()
                raise error
            answered = early or self._answer(call)
            if answered.error:
                raise answered.error
        except BrokerError as error:
            record.error = error
            raise
        finally:
            record.ended = self._clock.now()
            self.in_flight[subject] -= 1
        value = answered.fields.get("access_token") or answered.fields.get("ticket")
        if isinstance(value, str):
            self._last_value[subject] = value
        return answered

    def _answer(self, call: broker_call.Call) -> broker_call.Answer:
        self._share()
        incoming = Incoming(call.method, dict(call.parameters()), call.content(), "127.0.0.1")
        payload = answer(self.world, ENDPOINTS[call.endpoint], incoming).payload
        assert isinstance(payload, dict)
        if "corp_list" in payload:
            payload["corp_list"] += [None] * self.unreadable
        return broker_call.Answer(call, json.dumps(payload).encode(), payload, int(payload["errcode"]))

    def _share(self) -> None:
        """Bring the world's shares in line with the test's list."""
        if self.shares == self._shared:
            return
        parents = [
            AppId(corp.corpid, app.agentid)
            for corp in self.world.corps
            for app in corp.apps.values()
            if app.secret
        ]
        before, after = set(self._shared), set(self.shares)
        for parent in parents:
            for share in before - after:
                self.world.unshare(parent, *_shared_as(share))
            for share in self.shares:
                if share not in before:
                    self.world.share(parent, *_shared_as(share))
                    self.world.corps.get(share.corp_id).name = share.corp_name
        self._shared = list(self.shares)


class Connection:
    """One replica's access to WeCom, through its gate; takes the place of a broker's `WecomClient`."""

    def __init__(self, wecom: SimulatedWecom, gate: UpstreamGate, replica: int) -> None:
        self._wecom = wecom
        self._gate = gate
        self._replica = replica

    async def send(self, call: broker_call.Call) -> broker_call.Answer:
        """See `WecomClient.send`; a call is never repeated."""
        await self._gate.before(call.scope)
        await call.allow()
        try:
            answered = await self._wecom.answer(call, self._replica)
        except BrokerError as error:
            await self._gate.after(call.scope, error)
            raise
        await self._gate.after(call.scope, None)
        return answered


def _shared_as(share: AppShare) -> tuple[AppId, BusinessType]:
    return AppId(share.corp_id, share.agent_id), BusinessType(share.share_kind.business_type)


def _subject(call: broker_call.Call) -> str:
    """Return the name of what a call fetches."""
    if isinstance(call.sender, App):
        return call.sender.corp_id
    key = call.sender.key
    body = call.body if isinstance(call.body, dict) else {}
    kind = ShareKind.SUPPLY_CHAIN if body.get("business_type") else ShareKind.CORP_GROUP
    match Endpoint(call.endpoint):
        case Endpoint.CHILD_TOKEN:
            return f"{kind}:{body['corpid']}:{body['agentid']}"
        case Endpoint.SHARES:
            return f"shares:{kind}"
        case Endpoint.CORP_TICKET:
            return f"corp_ticket:{key.corp_id}"
        case _:
            return f"agent_ticket:{key.corp_id}:{key.agent_id}"

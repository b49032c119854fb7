"""The simulated WeCom of a provider in the test's process: without HTTP, on the test's clock."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from broker.adapters.wecom import call as broker_call
from broker.domain.errors import BrokerError, WecomUnavailable
from broker.domain.secret import Secret
from broker.simulator import provider_demo as demo
from broker.simulator.checks import Incoming, answer
from broker.simulator.endpoints import ENDPOINTS
from broker.simulator.world.shares import BusinessType
from broker.simulator.world.suites.authorization import SharedFrom
from broker.simulator.world.suites.codes import AuthCodePurpose
from tests.kit.memory.fake_clock import FakeClock

SUITE_TOKEN = "/cgi-bin/service/get_suite_token"
CORP_TOKEN = "/cgi-bin/service/get_corp_token"
EXCHANGE = "/cgi-bin/service/v2/get_permanent_code"
AUTH_INFO = "/cgi-bin/service/v2/get_auth_info"
EDITIONS = "/cgi-bin/service/get_auth_info"
PERMISSIONS = "/cgi-bin/agent/get_permissions"
PRE_AUTH_CODE = "/cgi-bin/service/get_pre_auth_code"
APP_TOKEN = "/cgi-bin/gettoken"
UNREAD = {40014, 42001, 42009, 40082}
"""With these, WeCom has not looked at the code."""


@dataclass(frozen=True)
class Pushed:
    """A suite_ticket as WeCom pushes it."""

    value: Secret
    at: datetime


@dataclass(frozen=True)
class Exchanged:
    """An answer that told a permanent code."""

    auth_code: str = field(repr=False)
    permanent_code: str = field(repr=False)
    replica: int


class SuiteWecom:
    """WeCom for the whole fleet: it answers like the simulator, and delays and fails calls as a test says."""

    def __init__(self, clock: FakeClock, children: int = 3) -> None:
        self._clock = clock
        self.world = demo.provider_world(children, clock=lambda: clock.now().timestamp())
        self.delay = timedelta(0)
        self.calls: list[str] = []
        self.codes: Counter[str] = Counter()
        """How many times WeCom read each auth_code."""
        self.exchanged: list[Exchanged] = []
        """The permanent codes that arrived at a replica."""
        self.on_call: Callable[[str], None] = lambda _path: None
        self._failures: dict[str, list[Callable[[], BrokerError]]] = {}
        self._lost: Counter[str] = Counter()

    def count(self, path: str) -> int:
        """Return the number of calls of an endpoint."""
        return self.calls.count(path)

    def fail(self, path: str, error: Callable[[], BrokerError], times: int = 1) -> None:
        """Make the next calls fail before they have an effect."""
        self._failures.setdefault(path, []).extend([error] * times)

    def lose(self, path: str, times: int = 1) -> None:
        """Make the next calls take effect, and lose their answers."""
        self._lost[path] += times

    def recover(self) -> None:
        """Answer every call again."""
        self._failures.clear()
        self._lost.clear()

    def push(self, suite: str = "market") -> Pushed:
        """Make a new suite_ticket."""
        now = self.world.now()
        ticket = self.world.suites.tickets.issue(self.world.suites.get(suite).suite_id, now)
        return Pushed(Secret(ticket.value), datetime.fromtimestamp(int(now), UTC))

    def install(self, corp: str, suite: str = "market", parent: str = "") -> Secret:
        """Install a suite in a corp, perhaps by a share of its parent; return the auth_code."""
        suites = self.world.suites
        shared_from = SharedFrom(parent, BusinessType.CORP_GROUP) if parent else None
        installer = "" if parent else demo.MEMBER
        authorization = suites.authorize(
            suites.get(suite), self.world.corps.get(corp), installer=installer, shared_from=shared_from
        )
        return Secret(suites.codes.add(AuthCodePurpose.INSTALL, authorization, "", self.world.now()).value)

    def reset(self, corp: str, suite: str = "tailored") -> Secret:
        """Give a 代开发 app another secret; return the auth_code for it."""
        authorization = self.world.suites.active(suite, corp)
        self.world.suites.renew_code(authorization)
        return Secret(
            self.world.suites.codes.add(AuthCodePurpose.RESET, authorization, "", self.world.now()).value
        )

    def cancel(self, corp: str, suite: str = "market") -> None:
        """End the corp's authorisation."""
        self.world.suites.cancel(self.world.suites.active(suite, corp))

    def permanent_code(self, corp: str, suite: str = "market") -> Secret:
        """Return the code that WeCom takes now."""
        return Secret(self.world.suites.authorization(suite, corp).permanent_code)

    def corp_id(self, corp: str, suite: str = "market") -> str:
        """Return a corp's id as the provider sees it."""
        return self.world.suites.corpid(suite, corp)

    async def answer(self, call: broker_call.Call, replica: int) -> broker_call.Answer:
        """Answer a call after the delay. Raises the test's error, or the errcode's."""
        path = call.endpoint
        self.calls.append(path)
        body = json.loads(call.content() or b"{}")
        self.on_call(path)
        await self._clock.sleep(self.delay)
        if failures := self._failures.get(path):
            error = failures.pop(0)()
            raise error
        incoming = Incoming(call.method, dict(call.parameters()), call.content(), "127.0.0.1")
        payload = answer(self.world, ENDPOINTS[path], incoming).payload
        assert isinstance(payload, dict)
        if "auth_code" in body and payload.get("errcode", 0) not in UNREAD:
            self.codes[body["auth_code"]] += 1
        if self._lost[path]:
            self._lost[path] -= 1
            raise WecomUnavailable("the connection broke after the call was sent")
        answered = broker_call.Answer(call, json.dumps(payload).encode(), payload, payload.get("errcode", 0))
        if answered.error:
            raise answered.error
        if path == EXCHANGE:
            self.exchanged.append(Exchanged(body["auth_code"], payload["permanent_code"], replica))
        return answered

"""What a fleet needs to serve a provider's suites, and the provider's console over HTTP."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from wecom_broker.v1 import admin_service_pb2 as admin_pb
from wecom_broker.v1 import suite_service_pb2 as pb

from broker.simulator import provider_demo as demo
from broker.simulator.world.call_log import digest
from tests.kit.processes.fleet import PATIENCE, Fleet, Replica, SimulatorProcess, until
from tests.kit.processes.http_balancer import balanced

GET_SUITE_TOKEN = "/cgi-bin/service/get_suite_token"
GET_CORP_TOKEN = "/cgi-bin/service/get_corp_token"
EXCHANGE = "/cgi-bin/service/v2/get_permanent_code"

ACTIVE = pb.AUTHORIZATION_STATE_ACTIVE
PENDING = pb.AUTHORIZATION_STATE_PENDING
LOST = pb.AUTHORIZATION_STATE_LOST
CANCELLED = pb.AUTHORIZATION_STATE_CANCELLED


def callback_of(name: str) -> dict[str, str]:
    """Return the Token and EncodingAESKey of a callback URL: each has its own."""
    key = base64.b64encode(hashlib.sha256(name.encode()).digest()).decode()
    return {"token": f"token{name}", "aes_key": key.rstrip("=").replace("+", "x").replace("/", "y")}


ACME = {
    "name": "acme",
    "corp_id": demo.PROVIDER,
    "secret": demo.PROVIDER_SECRET,
    "callback": callback_of("acme"),
}
MARKET = {
    "name": "market",
    "kind": "third_party",
    "suite_id": demo.MARKET,
    "suite_secret": demo.MARKET_SECRET,
    "provider": "acme",
    "callback": callback_of("market"),
}
TAILORED = {
    "name": "tailored",
    "kind": "customized",
    "suite_id": demo.TAILORED,
    "suite_secret": demo.TAILORED_SECRET,
    "provider": "acme",
    "callback": callback_of("tailored"),
    "corp_callback": callback_of("clients"),
}
SUITES: Mapping[str, Any] = {"apps": (MARKET, TAILORED), "providers": [ACME]}
"""The apps and tables of a configuration that serves both suites of the simulator's provider."""


class Console:
    """The provider's console and the admins of its clients, at a simulated WeCom.

    A corp is given by its plain corpid.
    """

    def __init__(self, wecom: SimulatorProcess) -> None:
        self.wecom = wecom

    def open(self, children: int) -> None:
        """Add the provider, its suites, the parent corp and its children."""
        self.wecom.control("POST", "suites/demo", children=children)

    def call_back(self, base: str) -> None:
        """Send all events to the brokers there."""
        for suite, channel, name, path in (
            ("market", "command", "market", "market"),
            ("market", "data", "market", "market"),
            ("tailored", "command", "tailored", "tailored"),
            ("tailored", "app", "clients", "tailored/$CORPID$"),
        ):
            self._post("callback", suite=suite, channel=channel, url=f"{base}/{path}", **callback_of(name))
        self.wecom.control(
            "POST", "providers/callback", provider="acme", url=f"{base}/acme", **callback_of("acme")
        )

    def push_tickets(self, *suites: str, count: int = 1) -> None:
        """Press the refresh button of each suite so often."""
        for suite in suites:
            self._post("ticket", suite=suite, count=count)

    def lose_tickets(self, *suites: str, count: int) -> None:
        """Lose the next tickets on the way."""
        for suite in suites:
            self._post("ticket_loss", suite=suite, count=count)

    def hold_ticket(self, suite: str) -> None:
        """Let the next ticket arrive after the one that follows it."""
        self._post("ticket_delay", suite=suite)

    def install(self, corp: str, suite: str = "market") -> str:
        """Install a suite in a corp; return the auth_code, which is pushed by create_auth."""
        return str(self._post("install", suite=suite, corpid=corp)["auth_code"])

    def share(self, parent: str, children: Sequence[str], suite: str = "market") -> list[str]:
        """Share the parent's app with children, all at once; return their auth_codes."""
        made = self._post("install_by_share", suite=suite, parent_corpid=parent, corpids=list(children))
        return [str(each["auth_code"]) for each in made["installs"]]

    def reset(self, corp: str) -> str:
        """Press 重新获取secret of the 代开发 app; return the auth_code, which is pushed."""
        return str(self._post("reset", suite="tailored", corpid=corp)["auth_code"])

    def cancel(self, corp: str, suite: str = "market") -> None:
        """Cancel a suite in a corp."""
        self._post("cancel", suite=suite, corpid=corp)

    def js_code(self, corp: str, userid: str) -> str:
        """Let a member open the mini-program of market; return the login code."""
        return str(self._post("js_codes", suite="market", corpid=corp, userid=userid)["code"])

    async def send(self, suite: str, kind: str, message: str) -> dict[str, Any]:
        """Push this message to a suite's URL; return how the broker answered at last."""
        raw = base64.b64encode(message.encode()).decode()
        sent = await asyncio.to_thread(self._post, "events", suite=suite, event=kind, raw_base64=raw)
        answer: dict[str, Any] = sent["attempts"][-1]
        return answer

    def deliveries(self, kind: str) -> list[dict[str, Any]]:
        """Return the events of a kind that were pushed, newest first."""
        events = self.wecom.control("GET", "suites/events")["events"]
        return [event for event in events if event["event"] == kind]

    def authorizations(self, suite: str = "market") -> list[dict[str, Any]]:
        """Return what WeCom knows of the corps that installed a suite."""
        suites = self.wecom.control("GET", "suites")["suites"]
        return [row for known in suites if known["name"] == suite for row in known["authorizations"]]

    def corp_ids(self, suite: str = "market") -> dict[str, str]:
        """Return the ids by which the provider knows the corps that installed a suite, by plain corpid."""
        return {row["plain_corpid"]: row["corpid"] for row in self.authorizations(suite)}

    def times_sent(self) -> dict[str, int]:
        """Return how often each code was sent, by digest."""
        return dict(self.wecom.control("GET", "calls")["codes"])

    def times(self, code: str) -> int:
        """Return how often a code was sent."""
        return self.times_sent().get(digest(code), 0)

    def settings(self, **settings: object) -> None:
        """Change what WeCom does."""
        self.wecom.control("POST", "settings", **settings)

    def _post(self, name: str, **fields: object) -> dict[str, Any]:
        return self.wecom.control("POST", f"suites/{name}", **fields)


def create_auth(code: str, at: int) -> str:
    """Return the message that pushes a code of market."""
    return (
        f"<xml><SuiteId><![CDATA[{demo.MARKET}]]></SuiteId><AuthCode><![CDATA[{code}]]></AuthCode>"
        f"<InfoType><![CDATA[create_auth]]></InfoType><TimeStamp>{at}</TimeStamp></xml>"
    )


@asynccontextmanager
async def called_back(fleet: Fleet) -> AsyncIterator[Console]:
    """Send the events of both suites to all replicas in turn, inside the block."""
    console = Console(fleet.wecom)
    async with balanced([f"http://127.0.0.1:{broker.http_port}" for broker in fleet.brokers]) as base:
        console.call_back(f"{base}/callback")
        yield console


async def authorizations(replica: Replica, page_size: int = 1000) -> list[pb.Authorization]:
    """Return a suite's authorisations, collected page by page."""
    found: list[pb.Authorization] = []
    page_token = ""
    while True:
        request = pb.ListAuthorizationsRequest(app=replica.app, page_size=page_size, page_token=page_token)
        answer = await replica.suites.ListAuthorizations(request, timeout=PATIENCE)
        assert len(answer.authorizations) <= page_size
        found += answer.authorizations
        page_token = answer.next_page_token
        if not page_token:
            return found


async def states(replica: Replica) -> dict[str, Any]:
    """Return the states of a suite's authorisations, by corp; codes without one are left out."""
    return {row.corp_id: row.state for row in await authorizations(replica) if row.corp_id}


async def status(replica: Replica) -> admin_pb.SuiteStatus:
    """Return how a suite is doing."""
    answer = await replica.admin.GetStatus(admin_pb.GetStatusRequest(), timeout=PATIENCE)
    return next(found for found in answer.suites if found.app == replica.app)


async def until_active(corp_ids: Sequence[str], *replicas: Replica) -> float:
    """Wait until all these corps are active and read on the replicas; return the seconds it took."""

    async def are_active() -> bool:
        for replica in replicas:
            rows = {row.corp_id: row for row in await authorizations(replica)}
            if not all(
                corp in rows and rows[corp].state == ACTIVE and rows[corp].agents for corp in corp_ids
            ):
                return False
        return True

    return await until(are_active, pause=0.1)


async def until_ticket(*replicas: Replica) -> None:
    """Wait until the replicas hold a suite_ticket that works."""

    async def hold_one() -> bool:
        return not any([(await status(replica)).ticket_problem for replica in replicas])

    await until(hold_one)


async def assert_explained(console: Console, *replicas: Replica) -> None:
    """Check that no code was sent twice, no permanent code is lost, and nothing is unexplained.

    Every corp whose permanent code WeCom handed out has a token on every replica.
    """
    assert [] == [code for code, times in console.times_sent().items() if times > 1], "sent twice"
    suite = replicas[0].app
    active = {row["corpid"] for row in console.authorizations(suite) if row["active"] and row["exchanged"]}
    for replica in replicas:
        rows = await authorizations(replica)
        assert active <= {row.corp_id for row in rows if row.state == ACTIVE}
        assert [] == [row for row in rows if row.state != ACTIVE and not row.problem]
        tokens = await asyncio.gather(*(replica.token(corp_id) for corp_id in sorted(active)))
        assert sorted(active) == [token.corp_id for token in tokens]

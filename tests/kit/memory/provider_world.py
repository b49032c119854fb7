"""A fleet in one process that serves a provider's suites."""

from datetime import datetime, timedelta
from typing import Any, cast

from broker.domain.apps import AppKind
from broker.domain.errors import BrokerError
from broker.domain.secret import Secret
from broker.domain.suites.authorization import Authorization, AuthorizationState
from broker.domain.suites.catalog import Catalog
from broker.domain.suites.suite import Provider, Suite
from broker.simulator import provider_demo as demo
from tests.kit.memory.engine_world import EngineWorld, Replica
from tests.kit.memory.fake_clock import settle
from tests.kit.memory.suite_wecom import SuiteWecom

SECOND = timedelta(seconds=1)
ACME = Provider("acme", demo.PROVIDER, Secret(demo.PROVIDER_SECRET))
MARKET = Suite("market", AppKind.THIRD_PARTY, demo.MARKET, Secret(demo.MARKET_SECRET), ACME)
TAILORED = Suite("tailored", AppKind.CUSTOMIZED, demo.TAILORED, Secret(demo.TAILORED_SECRET), ACME)


class ProviderWorld(EngineWorld):
    """Replicas over one store, in front of one WeCom with suites."""

    def __init__(self, children: int = 3) -> None:
        super().__init__(apps=())
        self.suite_wecom = SuiteWecom(self.clock, children)
        self.wecom = cast("Any", self.suite_wecom)
        self.catalog = Catalog({}, {"market": MARKET, "tailored": TAILORED}, {"acme": ACME})

    async def __aexit__(self, *how: object) -> None:
        """End the fleet. Foreseen failures of work in the background are no fault of a test."""
        for replica in self.replicas:
            witness = replica.witness
            witness.failures = [seen for seen in witness.failures if not isinstance(seen[1], BrokerError)]
        await super().__aexit__(*how)

    async def push(self, replica: Replica, suite: Suite = MARKET) -> bool:
        """Push a new suite_ticket to a replica."""
        pushed = self.suite_wecom.push(suite.name)
        return await replica.core.suite_tickets.take(suite, pushed.value, pushed.at)

    async def take(self, replica: Replica, code: Secret, suite: Suite = MARKET, **how: Any) -> None:
        """Push a code to a replica, as create_auth does."""
        await replica.core.suites.exchanges.take(suite, code, self.clock.now(), **how)

    async def authorize(
        self, replica: Replica, corp: str = demo.PARENT, suite: Suite = MARKET, parent: str = ""
    ) -> Authorization:
        """Install a suite in a corp, and return what the fleet knows of it once it is read."""
        await self.take(replica, self.suite_wecom.install(corp, suite.name, parent), suite)
        corp_id = self.suite_wecom.corp_id(corp, suite.name)
        found = await self.until(replica, suite, corp_id, AuthorizationState.ACTIVE)
        while found.is_stale:
            await self.clock.advance(SECOND / 10)
            found = replica.core.authorizations.get((suite.name, corp_id)) or found
        return found

    async def until(
        self, replica: Replica, suite: Suite, corp_id: str, state: AuthorizationState
    ) -> Authorization:
        """Let time pass until a replica holds the authorisation in that state."""
        ends: datetime = self.clock.now() + timedelta(minutes=2)
        while self.clock.now() < ends:
            await settle()
            found = replica.core.authorizations.get((suite.name, corp_id))
            if found and found.state is state:
                return found
            await self.clock.advance(SECOND / 10)
        raise AssertionError(f"{corp_id} is not {state}")

"""Suites in a fleet of engines: what their corps authorised, and whom those share with, as a test says."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from broker.domain.apps import App, AppKind
from broker.domain.corps import ShareKind
from broker.domain.credentials import Credential, CredentialKey
from broker.domain.errors import (
    ApiNotAuthorized,
    BrokerError,
    CorpNotAuthorized,
    InvalidRequest,
    ReauthorizationRequired,
)
from broker.domain.secret import Secret
from broker.domain.shares import AppShare, ListedShares
from broker.domain.suites.authorization import (
    Authorization,
    AuthorizationKey,
    AuthorizationState,
    AuthorizedAgent,
)
from broker.domain.suites.catalog import Catalog
from broker.domain.suites.suite import Provider, Suite
from tests.kit.memory.engine_world import CRM, EngineWorld, Replica
from tests.kit.memory.fake_clock import FakeClock

GROUP, CHAIN = ShareKind.CORP_GROUP, ShareKind.SUPPLY_CHAIN
ACME = Provider("acme", "ww-acme", Secret("acme-secret"))
MARKET = Suite("market", AppKind.THIRD_PARTY, "ww-market", Secret("market-secret"), ACME)
TAILORED = Suite(
    "tailored", AppKind.CUSTOMIZED, "dk-tailored", Secret("tailored-secret"), ACME, (GROUP, CHAIN)
)
CATALOG = Catalog({"crm": CRM}, {suite.name: suite for suite in (MARKET, TAILORED)}, {ACME.name: ACME})
PARENT, OTHER_PARENT, CORP = "wpParent", "wpOther", "wpCorp"
BEFORE = datetime(2026, 1, 1, tzinfo=UTC)


def authorization(
    suite: Suite, corp_id: str = PARENT, *agent_ids: int, installed_at: datetime = BEFORE
) -> Authorization:
    """Return an active authorisation."""
    return Authorization(
        suite=suite.name,
        corp_id=corp_id,
        fence=1,
        state=AuthorizationState.ACTIVE,
        permanent_code=Secret(f"code-of-{corp_id}"),
        code_hash="",
        installed_at=installed_at,
        updated_at=installed_at,
        agents=tuple(map(AuthorizedAgent, agent_ids or (1000010,))),
    )


class FakeAuthorizations:
    """What `Authorizations` promises, from a dict."""

    def __init__(self) -> None:
        self.version = 0
        self.asked: list[str] = []
        """The corps that were looked for."""
        self._found: dict[AuthorizationKey, Authorization] = {}

    def put(self, *found: Authorization) -> None:
        """Authorise, or change."""
        self._found |= {each.key: each for each in found}
        self.version += 1

    def end(self, suite: Suite, corp_id: str, state: AuthorizationState) -> None:
        """Let an authorisation end."""
        code = (
            None if state is AuthorizationState.CANCELLED else self._found[suite.name, corp_id].permanent_code
        )
        self.put(replace(self._found[suite.name, corp_id], state=state, permanent_code=code))

    async def find(self, suite: Suite, corp_id: str) -> Authorization:
        """See `Authorizations.find`."""
        self.asked.append(corp_id)
        found = self._found.get((suite.name, corp_id))
        if found is None or found.state is AuthorizationState.CANCELLED:
            raise CorpNotAuthorized("this corp has not authorised the app", app=suite.name, corp_id=corp_id)
        return found

    async def usable(self, suite: Suite, corp_id: str) -> Authorization:
        """See `Authorizations.usable`."""
        found = await self.find(suite, corp_id)
        if not found.is_usable:
            raise ReauthorizationRequired("the corp must authorise the app again", corp_id=corp_id)
        return found

    async def detailed(self, found: Authorization) -> Authorization:
        """See `Authorizations.detailed`."""
        return found

    async def sole(self, suite: Suite) -> Authorization:
        """See `Authorizations.sole`."""
        usable = [found for found in self.of(suite.name) if found.is_usable]
        if not usable:
            raise CorpNotAuthorized("no corp has authorised the app", app=suite.name)
        if len(usable) > 1:
            raise InvalidRequest("corp_id", "is needed: more than one corp has authorised the app")
        return usable[0]

    async def loaded(self) -> None:
        """See `Authorizations.loaded`."""

    def get(self, key: AuthorizationKey) -> Authorization | None:
        """See `Authorizations.get`."""
        return self._found.get(key)

    def of(self, suite: str) -> list[Authorization]:
        """See `Authorizations.of`."""
        return [self._found[key] for key in sorted(self._found) if key[0] == suite]

    async def mark_sharing(self, key: AuthorizationKey) -> None:
        """See `Authorizations.mark_sharing`."""
        self.put(replace(self._found[key], shares=True))


@dataclass(frozen=True, slots=True)
class Listing:
    """One listing that WeCom was asked for."""

    corp_id: str
    agent_id: int
    share_kind: ShareKind
    at: datetime


class FakeShares:
    """The shares of each parent corp: `WecomShares`."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.by_parent: dict[str, list[AppShare]] = {}
        self.listings: list[Listing] = []
        self.refused: set[str] = set()
        """The corps that may not list their shares."""
        self.trouble: BrokerError | None = None
        """What they are told instead."""
        self.delay = timedelta(0)
        self.most_at_once = 0
        self._under_way = 0

    async def list_app_shares(self, parent: Credential, share_kind: ShareKind) -> ListedShares:
        """See `WecomShares.list_app_shares`."""
        corp_id, now = parent.key.corp_id, self._clock.now()
        self.listings.append(Listing(corp_id, parent.key.agent_id, share_kind, now))
        self._under_way += 1
        self.most_at_once = max(self.most_at_once, self._under_way)
        await self._clock.sleep(self.delay)
        self._under_way -= 1
        if corp_id in self.refused:
            trouble = self.trouble or ApiNotAuthorized("the app may not list its shares", errcode=48002)
            # The broker adds to the errors that it meets.
            raise type(trouble)(trouble.message, **trouble.metadata)
        shares = self.by_parent.get(corp_id, ())
        return ListedShares(tuple(share for share in shares if share.share_kind is share_kind))


class FakeSuiteWorld(EngineWorld):
    """A fleet with suites. Their tokens are there from the start: where they come from is not the subject."""

    def __init__(self) -> None:
        super().__init__()
        self.authorizations = FakeAuthorizations()
        self.shares = FakeShares(self.clock)
        self.catalog = CATALOG
        self.core_options = {"shares": self.shares, "known": self.authorizations}

    def authorize(self, *found: Authorization) -> None:
        """Let corps authorise."""
        self.authorizations.put(*found)

    async def give_tokens(self, replica: Replica, keys: Iterable[CredentialKey]) -> None:
        """Put living tokens into the replica's memory."""
        now = self.clock.now()
        for number, key in enumerate(keys, start=1):
            value = Secret(f"token-{key.name}")
            token = Credential(key, value, number, number, now, now + timedelta(days=1), now)
            await replica.memory.adopt(token)

    async def give_corp_tokens(self, replica: Replica) -> None:
        """Put a living token of each authorisation into the replica's memory."""
        await self.give_tokens(
            replica,
            [CredentialKey.own_token(app) for suite in (MARKET, TAILORED) for app in self._apps_of(suite)],
        )

    def _apps_of(self, suite: Suite) -> list[App]:
        return [found.app(suite) for found in self.authorizations.of(suite.name) if found.permanent_code]

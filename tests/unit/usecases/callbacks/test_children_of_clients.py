"""The URL of a 代开发 app at a client that shares it: the share list tells its children from the client."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest

from broker.domain.corps import ShareKind
from broker.domain.credentials import CredentialKey
from broker.domain.errors import ApiNotAuthorized, BrokerError, EnvelopeRejected, WecomUnavailable
from broker.domain.events.event import Event
from broker.domain.shares import AppShare
from broker.domain.suites.authorization import AuthorizationState
from broker.usecases.callbacks.client import LOOKUP_SECONDS
from broker.usecases.callbacks.settings import ClientCallbacks
from tests.kit.callbacks.suite_samples import PROVIDER_CORP, data
from tests.kit.memory.engine_world import Replica, outcome
from tests.kit.memory.fake_suites import FakeSuiteWorld, authorization
from tests.unit.usecases.callbacks.suite_desk import CATALOG, CLIENT, TAILORED, SuiteDesk, settings

GROUP, CHAIN = ShareKind.CORP_GROUP, ShareKind.SUPPLY_CHAIN
PLAIN_CLIENT, PLAIN_CHILD, PLAIN = "ww4f0c1dd5a2b9e871", "ww77ab20c3de914f65", "wx5823bf96d3bd56c7"


@dataclass
class Url:
    """The URL at a client with such an id, and who is listed there."""

    world: FakeSuiteWorld
    replica: Replica
    desk: SuiteDesk
    client: str

    def share(self, *shares: AppShare) -> None:
        """Let the client share the app."""
        self.world.shares.by_parent[self.client] = list(shares)

    async def list(self) -> None:
        """Have the shares listed before a message comes."""
        app = authorization(TAILORED, self.client, 1000031).app(TAILORED)
        await self.world.run(self.replica.lister.sync(app))

    async def post(self, receive_id: str, named: str) -> Event:
        """Open a message of that corp, without an agent id."""
        xml = data("enter_agent", named, "zhangsan").replace("<AgentID>1000012</AgentID>", "")
        return await self.desk.post(f"tailored/{self.client}", receive_id, xml)

    async def refusal(self, receive_id: str, named: str) -> str:
        """Return why such a message is refused."""
        found = await outcome(self.post(receive_id, named))
        assert isinstance(found, EnvelopeRejected)
        return found.problem


@pytest.fixture
async def world() -> AsyncIterator[FakeSuiteWorld]:
    async with FakeSuiteWorld() as world:
        world.catalog = CATALOG
        yield world


UrlAt = Callable[[str], Awaitable[Url]]


@pytest.fixture
def url_at(world: FakeSuiteWorld, replica: Replica) -> UrlAt:
    async def url_at(client: str) -> Url:
        world.authorize(found := authorization(TAILORED, client, 1000031))
        await world.give_tokens(replica, [CredentialKey.own_token(found.app(TAILORED))])
        clients = ClientCallbacks(settings("D"), {})
        return Url(world, replica, SuiteDesk(replica, clients=clients, corps=world.authorizations), client)

    return url_at


@pytest.fixture(params=[CLIENT, PLAIN_CLIENT])
async def url(request: pytest.FixtureRequest, url_at: UrlAt) -> Url:
    return await url_at(request.param)


@pytest.mark.parametrize("child", ["wpChild", PLAIN_CHILD])
@pytest.mark.parametrize("is_listed", [True, False])
async def test_a_child_s_message_is_the_child_s_whatever_its_id_looks_like(
    url: Url, child: str, is_listed: bool
) -> None:
    url.share(AppShare(CHAIN, child, 1000055))
    if is_listed:
        await url.list()

    for receive_id, form in ((url.client, "authorized_corp"), (child, "child")):
        event = await url.post(receive_id, child)
        assert (child, CHAIN, 1000055) == (event.corp_id, event.share_kind, event.agent_id)
        assert not event.corp_unknown
        assert form == url.desk.forms[-1]
    # Listed once of each kind, with the token of the corp that shares.
    assert [(url.client, GROUP), (url.client, CHAIN)] == [
        (listing.corp_id, listing.share_kind) for listing in url.world.shares.listings
    ]


async def test_a_child_s_plain_id_is_not_another_name_of_the_client(url: Url) -> None:
    url.share(AppShare(GROUP, PLAIN_CHILD, 1000055))
    await url.list()

    assert "receive_id" == await url.refusal(PLAIN_CHILD, url.client)
    callback = url.desk.urls.find("tailored", url.client)
    assert isinstance(await outcome(callback.echo_form(PLAIN_CHILD)), EnvelopeRejected)
    assert not await callback.may_call(url.client, PLAIN_CHILD)


async def test_the_provider_s_own_corp_may_be_a_child(url: Url) -> None:
    assert url.client == (await url.post(url.client, PROVIDER_CORP)).corp_id

    url.share(AppShare(GROUP, PROVIDER_CORP, 1000055))
    await url.world.clock.jump(url.world.policy.cooldown)
    await url.list()
    event = await url.post(url.client, PROVIDER_CORP)
    assert (PROVIDER_CORP, GROUP) == (event.corp_id, event.share_kind)


async def test_only_an_encrypted_client_may_have_a_plain_id_besides(url_at: UrlAt) -> None:
    encrypted, plain = await url_at(CLIENT), await url_at(PLAIN_CLIENT)

    event = await encrypted.post(PLAIN, PLAIN)
    assert (CLIENT, ShareKind.OWN) == (event.corp_id, event.share_kind)
    assert ["plain_corp"] == encrypted.desk.forms
    event = await plain.post(PLAIN_CLIENT, PLAIN)
    assert (PLAIN, None, True) == (event.corp_id, event.share_kind, event.corp_unknown)
    assert "receive_id" == await plain.refusal(PLAIN, PLAIN_CLIENT)


@pytest.mark.parametrize("trouble", [ApiNotAuthorized("no"), WecomUnavailable("system busy")])
async def test_a_client_whose_shares_cannot_be_listed_keeps_its_plain_id(
    url_at: UrlAt, trouble: BrokerError
) -> None:
    url = await url_at(CLIENT)
    url.world.shares.refused.add(CLIENT)
    url.world.shares.trouble = trouble

    for _ in range(10):
        assert CLIENT == (await url.post(CLIENT, PLAIN)).corp_id
    # Each kind was tried once; one that hopes for a retry is told to operators.
    assert 2 == len(url.world.shares.listings)
    assert isinstance(trouble, WecomUnavailable) == bool(url.replica.witness.failures)
    url.replica.witness.failures.clear()


async def test_a_client_s_plain_id_costs_one_listing_of_each_kind(url_at: UrlAt) -> None:
    url = await url_at(CLIENT)
    began = url.world.clock.now()

    for _ in range(10):
        assert CLIENT == (await url.post(CLIENT, PLAIN)).corp_id
    assert (2, began) == (len(url.world.shares.listings), url.world.clock.now())


@pytest.mark.parametrize("child", ["wpChild", PLAIN_CHILD])
async def test_the_known_children_of_a_client_that_must_authorise_again_are_taken(
    world: FakeSuiteWorld, url: Url, child: str
) -> None:
    url.share(AppShare(GROUP, child, 1000055))
    await url.list()
    world.authorizations.end(TAILORED, url.client, AuthorizationState.REAUTHORIZATION_REQUIRED)
    started = await world.start()
    elsewhere = SuiteDesk(started, clients=url.desk.clients, corps=world.authorizations)
    listed = len(world.shares.listings)

    for there in (url, Url(world, started, elsewhere, url.client)):
        event = await there.post(child, child)
        assert (child, GROUP, False) == (event.corp_id, event.share_kind, event.corp_unknown)
        assert url.client == (await there.post(url.client, url.client)).corp_id
        assert "receive_id" == await there.refusal(url.client, "wpStranger")
    # WeCom refuses the client's permanent code, so nothing is asked with it.
    assert listed == len(world.shares.listings)


async def test_without_a_store_the_message_of_a_client_that_must_authorise_again_is_taken(
    world: FakeSuiteWorld, url_at: UrlAt
) -> None:
    url = await url_at(CLIENT)
    world.authorizations.end(TAILORED, CLIENT, AuthorizationState.REAUTHORIZATION_REQUIRED)
    url.replica.store.cut()

    assert CLIENT == (await url.post(CLIENT, PLAIN)).corp_id
    assert url.replica.witness.failures
    url.replica.witness.failures.clear()


async def test_a_child_that_no_listing_has_is_marked_and_may_not_be_the_receiver(url: Url) -> None:
    event = await url.post(url.client, "wpStranger")

    assert ("wpStranger", None, True) == (event.corp_id, event.share_kind, event.corp_unknown)
    assert "receive_id" == await url.refusal("wpStranger", "wpStranger")


@pytest.mark.slow
async def test_a_message_of_an_unknown_child_does_not_wait_for_wecom(url: Url) -> None:
    url.world.shares.delay = url.world.policy.cooldown
    async with asyncio.timeout(LOOKUP_SECONDS * 5):
        event = await url.post(url.client, "wpChild")

    assert event.corp_unknown
    [(what, _)] = url.replica.witness.failures
    assert "wpChild" in what
    url.replica.witness.failures.clear()

"""What callers get for suites and providers: tokens, reports, and calls with the right token."""

from collections.abc import AsyncIterator

import pytest

from broker.domain.apps import Target
from broker.domain.credentials import Credential, CredentialKey, CredentialKind
from broker.domain.errors import CorpNotAuthorized, InvalidRequest
from broker.domain.ports.passthrough import ApiAnswer, ApiCall, MediaHead
from broker.domain.replica.health import ReplicaHealth
from broker.usecases.admin import Admin
from broker.usecases.api_calls import ApiCalls
from broker.usecases.credentials.reports import ReportOutcome
from broker.usecases.signing import Signing
from tests.kit.memory.engine_world import Replica
from tests.kit.memory.fake_users import CountedChance
from tests.kit.memory.provider_world import ACME, MARKET, SECOND, TAILORED, ProviderWorld

PAGE = "https://app.example/page"


@pytest.fixture
async def world() -> AsyncIterator[ProviderWorld]:
    async with ProviderWorld() as world:
        yield world


@pytest.fixture
async def replica(world: ProviderWorld) -> Replica:
    replica = await world.start()
    await world.push(replica, MARKET)
    await world.push(replica, TAILORED)
    return replica


@pytest.fixture
async def corps(world: ProviderWorld, replica: Replica) -> dict[str, str]:
    """The corp that authorised each suite."""
    return {suite.name: (await world.authorize(replica, suite=suite)).corp_id for suite in (MARKET, TAILORED)}


async def test_each_target_has_the_token_of_its_kind(
    world: ProviderWorld, replica: Replica, corps: dict[str, str]
) -> None:
    expected = {
        Target("market"): CredentialKey.suite_token(MARKET),
        Target("tailored"): CredentialKey.suite_token(TAILORED),
        Target("acme"): CredentialKey.provider_token(ACME),
        Target("acme", ACME.corp_id): CredentialKey.provider_token(ACME),
    }
    for target, key in expected.items():
        assert key == (await world.run(replica.tokens.get(target))).key
    for name, corp_id in corps.items():
        token = await world.run(replica.tokens.get(Target(name, corp_id)))
        assert (name, corp_id) == (token.key.app, token.key.corp_id)
        assert token.key.agent_id
        assert world.suite_wecom.world.tokens.find(token.value.reveal())


@pytest.mark.parametrize("errcode", [0, 40014, 42001, 40082, 42009])
@pytest.mark.parametrize("target", [Target("market"), Target("acme")])
async def test_a_dead_token_of_a_suite_or_provider_is_replaced_after_a_report(
    world: ProviderWorld, replica: Replica, target: Target, errcode: int
) -> None:
    token = await world.run(replica.tokens.get(target))
    world.suite_wecom.world.kill(token.value.reveal())
    await world.clock.jump(60 * SECOND)

    outcome, renewed = await world.run(replica.tokens.report(target, token.generation, errcode))
    assert ReportOutcome.ROTATED is outcome
    assert token.value != renewed.value


@pytest.mark.parametrize("errcode", [40082, 42009, 40001])
async def test_a_corps_token_does_not_die_of_a_suites_errcode(
    world: ProviderWorld, replica: Replica, corps: dict[str, str], errcode: int
) -> None:
    target = Target("market", corps["market"])
    token = await world.run(replica.tokens.get(target))
    with pytest.raises(InvalidRequest) as refused:
        await replica.tokens.report(target, token.generation, errcode)
    assert "errcode" == refused.value.metadata["field"]


async def test_a_page_of_a_corp_is_signed_with_the_corps_tickets(
    world: ProviderWorld, replica: Replica, corps: dict[str, str]
) -> None:
    signing = Signing(replica.targets, replica.engine, world.clock, CountedChance())
    for name, corp_id in corps.items():
        config, agent = await world.run(signing.sign_page(Target(name, corp_id), PAGE))
        assert corp_id == config.corp_id == agent.corp_id
        authorization = replica.core.authorizations.get((name, corp_id))
        assert authorization
        assert authorization.agent_id == agent.agent_id


@pytest.mark.parametrize("name", ["market", "acme"])
async def test_a_suite_and_a_provider_have_no_pages(
    world: ProviderWorld, replica: Replica, name: str
) -> None:
    signing = Signing(replica.targets, replica.engine, world.clock, CountedChance())
    with pytest.raises(InvalidRequest) as refused:
        await world.run(signing.sign(Target(name), PAGE, CredentialKind.CORP_TICKET))
    assert "target.corp_id" == refused.value.metadata["field"]


async def test_an_unknown_corps_page_is_refused(world: ProviderWorld, replica: Replica) -> None:
    signing = Signing(replica.targets, replica.engine, world.clock, CountedChance())
    with pytest.raises(CorpNotAuthorized):
        await world.run(signing.sign_page(Target("market", "wpStranger"), PAGE))


class Passed:
    """A passthrough that remembers with which token it was called."""

    def __init__(self) -> None:
        self.tokens: list[CredentialKey] = []

    async def call(self, token: Credential, _call: ApiCall) -> ApiAnswer:
        """See `WecomPassthrough.call`."""
        self.tokens.append(token.key)
        return ApiAnswer(0, "ok", b"{}")


async def test_a_call_gets_the_token_of_its_target(
    world: ProviderWorld, replica: Replica, corps: dict[str, str]
) -> None:
    passed = Passed()
    calls = ApiCalls(replica.targets, replica.engine, passed)  # type: ignore[arg-type]
    for target in (Target("market"), Target("acme"), Target("tailored", corps["tailored"])):
        await world.run(calls.call(target, ApiCall("GET", "/cgi-bin/user/get", (), b"")))

    assert [CredentialKind.SUITE_TOKEN, CredentialKind.PROVIDER_TOKEN, CredentialKind.ACCESS_TOKEN] == [
        key.kind for key in passed.tokens
    ]


@pytest.mark.parametrize("name", ["market", "acme"])
async def test_files_belong_to_a_corp(world: ProviderWorld, replica: Replica, name: str) -> None:
    calls = ApiCalls(replica.targets, replica.engine, Passed())  # type: ignore[arg-type]

    async def nothing() -> AsyncIterator[bytes]:
        yield b""

    with pytest.raises(InvalidRequest) as refused:
        await world.run(calls.upload(Target(name), "file", MediaHead("a.txt", "text/plain"), nothing()))
    assert "target.corp_id" == refused.value.metadata["field"]
    with pytest.raises(InvalidRequest):
        await world.run(anext(calls.download(Target(name), "media")))


def admin_of(world: ProviderWorld, replica: Replica) -> Admin:
    return Admin(
        catalog=replica.catalog,
        authorizations=replica.core.authorizations,
        targets=replica.targets,
        engine=replica.engine,
        shares=replica.shares,
        tickets=replica.quota,
        forced=replica.core.forced,
        callers=lambda: ["orders"],
        memory=replica.memory,
        gate=replica.gate,
        replica_health=ReplicaHealth(world.clock.now()),
        clock=world.clock,
        policy=world.policy,
    )


async def test_an_operator_sees_and_renews_the_credentials_of_suites_and_providers(
    world: ProviderWorld, replica: Replica, corps: dict[str, str]
) -> None:
    admin = admin_of(world, replica)
    for target in (Target("market"), Target("acme"), Target("market", corps["market"])):
        await world.run(replica.tokens.get(target))
        await world.clock.jump(60 * SECOND)
        fetched = len(world.suite_wecom.calls)
        _, view = await world.run(admin.refresh(target, CredentialKind.ACCESS_TOKEN))

        assert target.app == view.key.app
        assert view in admin.credentials(target.app)
        assert fetched < len(world.suite_wecom.calls)


async def test_an_operator_sees_how_much_of_their_limits_suites_use(
    world: ProviderWorld, replica: Replica, corps: dict[str, str]
) -> None:
    await world.run(replica.tokens.get(Target("market", corps["market"])))
    await world.run(replica.tokens.get(Target("acme")))
    signing = Signing(replica.targets, replica.engine, world.clock, CountedChance())
    await world.run(signing.sign_page(Target("market", corps["market"]), PAGE))
    admin = admin_of(world, replica)

    used = {(use.endpoint, use.corp_id): use.used for use in await admin.quotas("market")}
    assert 1 == used["/cgi-bin/service/get_suite_token", "market"]
    assert 1 == used["/cgi-bin/service/get_corp_token", corps["market"]]
    assert 1 == used["/cgi-bin/get_jsapi_ticket", corps["market"]]
    assert used["jsapi_ticket", corps["market"]]
    provider = {(use.endpoint, use.corp_id): use.used for use in await admin.quotas("acme")}
    assert {("/cgi-bin/service/get_provider_token", ACME.corp_id): 1} == provider
    everything = {(use.endpoint, use.corp_id) for use in await admin.quotas()}
    assert {*provider, ("/cgi-bin/service/get_suite_token", "market")} <= everything

"""What WeCom refused can be seen on any replica, with who met it, and forgotten on all of them."""

from collections.abc import Awaitable, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from broker.domain.apps import AppKind
from broker.domain.closed_endpoints import ClosedEndpoint
from broker.domain.corps import ShareKind
from broker.domain.credentials import CredentialKey, CredentialKind
from broker.domain.errors import (
    AppDisabled,
    AppNotShared,
    BrokerError,
    CallerLimited,
    IpNotTrusted,
    RateLimited,
    SecretRejected,
    StoreUnavailable,
    UnknownApp,
)
from broker.domain.ports.rate_gate import CallScope
from broker.domain.replica.report import Meeting
from broker.domain.secret import Secret
from broker.domain.suites.catalog import Catalog
from broker.domain.suites.suite import Provider, Suite
from broker.usecases.limits.error_cache import RETRY_RULES
from broker.usecases.refusals.meetings import Meetings
from broker.usecases.refusals.refusals import INTERVAL, SECRET_TRIES, Refusals
from broker.usecases.refusals.remedies import REMEDIES, Whose, remedy_of
from tests.kit.memory.engine_world import (
    CHILD,
    CHILD_TARGET,
    CRM,
    OWN,
    OWN_TARGET,
    EngineWorld,
    Replica,
    outcome,
)
from tests.kit.memory.fake_clock import FakeClock, settle
from tests.kit.memory.wecom import Endpoint, SimulatedWecom

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


def refusals_of(
    replica: Replica, meetings: Meetings | None = None, elsewhere: Sequence[Meeting] = ()
) -> Refusals:
    async def reported() -> Sequence[Meeting]:
        return elsewhere

    return Refusals(
        catalog=replica.catalog,
        error_cache=replica.error_cache,
        memory=replica.memory,
        meetings=meetings or Meetings(replica.error_cache),
        elsewhere=reported,
        counters=replica.storage.coordination,
    )


def untrusted() -> IpNotTrusted:
    return IpNotTrusted("refused", errcode=60020, endpoint="/cgi-bin/gettoken", ip="203.0.113.9")


async def test_a_refusal_is_listed_by_a_replica_that_never_met_it(
    world: EngineWorld, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    met, other = await world.fleet(2)
    wecom.fail(Endpoint.APP_TOKEN, untrusted)
    began = clock.now()
    await world.run(outcome(met.tokens.get(OWN_TARGET)))

    [found] = await refusals_of(other).list()

    assert ("crm", OWN.corp_id, CredentialKind.ACCESS_TOKEN) == (found.app, found.corp_id, found.kind)
    assert "IP_NOT_TRUSTED" == found.reason
    assert {"errcode": "60020", "endpoint": "/cgi-bin/gettoken", "ip": "203.0.113.9"} == found.metadata
    assert began <= found.since <= clock.now() < found.retry_at
    assert "203.0.113.9" in found.remedy
    assert "wecom-broker retry crm" in found.remedy
    assert found.ends_by_retry
    assert [found] == await refusals_of(other).list("crm")


async def test_a_refused_share_list_and_a_closed_endpoint_are_listed_too(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    wecom.fail(Endpoint.SHARES, untrusted)
    await world.run(outcome(replica.tokens.get(CHILD_TARGET)))
    await clock.jump(SECOND)
    wecom.fail(Endpoint.APP_TOKEN, lambda: RateLimited("over the limit", errcode=45009))
    await world.run(outcome(replica.engine.refresh(OWN)))

    listed = await refusals_of(replica).list()

    assert {("crm", "IP_NOT_TRUSTED"), ("", "RATE_LIMITED")} == {(each.app, each.reason) for each in listed}
    [closed] = [each for each in listed if not each.app]
    assert CRM.corp_id == closed.corp_id
    assert [each for each in listed if each.app] == await refusals_of(replica).list("crm")


async def test_a_limit_that_a_callers_own_call_met_is_listed_under_its_app_alone(world: EngineWorld) -> None:
    met, other = await world.fleet(2)
    scope = CallScope("crm", CRM.corp_id, "/cgi-bin/message/send", is_proxied=True)
    await met.gate.after(scope, RateLimited("crm's own for today", errcode=45009))

    for replica in (met, other):
        [found] = await refusals_of(replica).list("crm")
        assert [found] == await refusals_of(replica).list()
        assert ("crm", CRM.corp_id) == (found.app, found.corp_id)
        assert not found.ends_by_retry
        assert "/cgi-bin/message/send" == found.metadata["endpoint"]


async def test_neither_a_retry_nor_another_secret_opens_what_a_limit_closed(world: EngineWorld) -> None:
    met = await world.start()
    scope = CallScope("crm", CRM.corp_id, "/cgi-bin/message/send", is_proxied=True)
    await met.gate.after(scope, RateLimited("crm's own for today", errcode=45009))
    other = await world.start(apps=[replace(CRM, secret=Secret("the new secret"))])

    assert 0 == await world.run(refusals_of(met).retry("crm"))

    for replica in (met, other):
        assert 1 == len(await refusals_of(replica).list("crm"))
        assert 1 == len(replica.error_cache.all_active())
        with pytest.raises(RateLimited):
            await replica.gate.before(scope)


@pytest.mark.parametrize("is_proxied", [False, True])
async def test_a_limit_of_a_suites_own_token_is_the_suites_and_no_corps(
    world: EngineWorld, is_proxied: bool
) -> None:
    replica = await world.start()
    provider = Provider("isv", "ww0provider", Secret("secret"))
    suite = Suite("market", AppKind.THIRD_PARTY, "ww0suite", Secret("secret"), provider)
    replica.catalog.replace(Catalog({"crm": CRM}, {"market": suite}, {"isv": provider}))
    scope = CallScope("market", "", "/cgi-bin/service/get_pre_auth_code", is_proxied=is_proxied)
    await replica.gate.after(scope, RateLimited("over the limit", errcode=45009))

    [found] = await refusals_of(replica).list("market")

    assert [found] == await refusals_of(replica).list()
    assert ("market", "") == (found.app, found.corp_id)
    assert [] == await refusals_of(replica).list("crm")


async def test_since_is_when_it_began_through_all_retries(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    wecom.fail(Endpoint.APP_TOKEN, untrusted)
    began = clock.now()
    for _ in range(3):
        await world.run(outcome(replica.tokens.get(OWN_TARGET)))
        await clock.jump(10 * MINUTE)
    await world.run(outcome(replica.tokens.get(OWN_TARGET)))

    [found] = await refusals_of(replica).list("crm")

    assert found.since - began < SECOND


async def test_what_is_no_longer_true_is_not_listed(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    wecom.fail(Endpoint.APP_TOKEN, untrusted, times=1)
    await world.run(outcome(replica.tokens.get(OWN_TARGET)))
    assert await refusals_of(replica).list()

    await clock.jump(2 * MINUTE)
    await world.run(replica.tokens.get(OWN_TARGET))

    assert [] == await refusals_of(replica).list()


async def test_another_secret_is_not_refused(world: EngineWorld, wecom: SimulatedWecom) -> None:
    wecom.set_secret(CRM, "the new secret")
    old = await world.start()
    await world.run(outcome(old.engine.get(OWN)))

    new = await world.start(apps=[replace(CRM, secret=Secret("the new secret"))])

    assert 1 == len(await refusals_of(old).list("crm"))
    assert [] == await refusals_of(new).list("crm")


async def test_without_the_store_a_replica_lists_what_it_remembers(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom
) -> None:
    wecom.fail(Endpoint.APP_TOKEN, untrusted)
    await world.run(outcome(replica.tokens.get(OWN_TARGET)))
    replica.store.cut()

    assert ["IP_NOT_TRUSTED"] == [each.reason for each in await refusals_of(replica).list()]


async def test_calls_and_callers_that_meet_it_are_counted(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    meetings = Meetings(replica.error_cache)
    wecom.fail(Endpoint.APP_TOKEN, untrusted)
    for caller in ("orders", "orders", "crm-svc"):
        meetings.note(await error_of(world, replica.tokens.get(OWN_TARGET)), caller)
    # A child's fetch fails by what is remembered of its parent.
    meetings.note(await error_of(world, replica.engine.get(CHILD)), "orders")
    meetings.note(UnknownApp("no such app"), "orders")

    [found] = await refusals_of(replica, meetings).list("crm")

    assert (4, 2) == (found.calls, found.callers)


async def test_what_was_met_on_other_replicas_counts_too(world: EngineWorld, wecom: SimulatedWecom) -> None:
    one, other = await world.fleet(2)
    here, there = Meetings(one.error_cache), Meetings(other.error_cache)
    wecom.fail(Endpoint.APP_TOKEN, untrusted)
    for replica, meetings, caller in ((one, here, "orders"), (other, there, "orders"), (other, there, "hr")):
        meetings.note(await error_of(world, replica.tokens.get(OWN_TARGET)), caller)
    outdated = [replace(met, since=met.since - HOUR) for met in there.most()]

    [found] = await refusals_of(one, here, [*there.most(), *outdated]).list("crm")

    assert (3, 2) == (found.calls, found.callers)


async def test_a_refusal_that_comes_back_is_counted_anew(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    meetings = Meetings(replica.error_cache)
    wecom.fail(Endpoint.APP_TOKEN, untrusted)
    meetings.note(await error_of(world, replica.tokens.get(OWN_TARGET)), "orders")
    await clock.jump(24 * HOUR)
    meetings.note(await error_of(world, replica.tokens.get(OWN_TARGET)), "orders")

    [found] = await refusals_of(replica, meetings).list("crm")

    assert 1 == found.calls


async def test_a_retry_forgets_an_apps_refusals_on_every_replica(
    world: EngineWorld, wecom: SimulatedWecom
) -> None:
    replicas = await world.fleet(3)
    wecom.fail(Endpoint.APP_TOKEN, lambda: AppDisabled("disabled", errcode=50003))
    for replica in replicas:
        for key in (OWN, CHILD):
            assert isinstance(await world.run(outcome(replica.engine.get(key))), AppDisabled)
    wecom.recover()

    assert 1 == await world.run(refusals_of(replicas[1]).retry("crm"))
    await settle()

    assert [[]] * 3 == [await refusals_of(replica).list() for replica in replicas]
    for replica in replicas:
        for key in (OWN, CHILD):
            assert await world.run(replica.engine.get(key))


async def test_a_child_whose_listing_was_refused_is_served_after_a_retry(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom
) -> None:
    wecom.fail(Endpoint.SHARES, untrusted)
    await world.run(outcome(replica.tokens.get(CHILD_TARGET)))
    wecom.recover()

    assert 1 == await world.run(refusals_of(replica).retry("crm"))

    assert await world.run(replica.tokens.get(CHILD_TARGET))


async def test_an_app_is_retried_once_a_minute_at_most(
    world: EngineWorld, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    one, other = await world.fleet(2)
    wecom.fail(Endpoint.APP_TOKEN, untrusted)
    await world.run(outcome(one.tokens.get(OWN_TARGET)))
    await world.run(refusals_of(one).retry("crm"))
    await clock.jump(SECOND)
    await world.run(outcome(one.tokens.get(OWN_TARGET)))

    with pytest.raises(CallerLimited) as limited:
        await world.run(refusals_of(other).retry("crm"))

    assert INTERVAL == limited.value.retry_after
    await clock.jump(INTERVAL)
    await world.run(outcome(one.tokens.get(OWN_TARGET)))
    assert 1 == await world.run(refusals_of(other).retry("crm"))


async def test_a_refused_secret_is_tried_again_three_times_an_hour_at_most(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    wecom.set_secret(CRM, "another")
    for _ in range(10):
        assert isinstance(await error_of(world, replica.tokens.get(OWN_TARGET)), SecretRejected)
        await world.run(outcome(refusals_of(replica).retry("crm")))
        await clock.jump(5 * MINUTE)

    assert 1 + SECRET_TRIES == wecom.count(Endpoint.APP_TOKEN)


async def test_where_nothing_is_remembered_a_retry_costs_nothing(
    world: EngineWorld, replica: Replica
) -> None:
    for _ in range(3):
        assert 0 == await world.run(refusals_of(replica).retry("crm"))


async def test_only_what_is_configured_can_be_retried_or_listed(replica: Replica) -> None:
    with pytest.raises(UnknownApp):
        await refusals_of(replica).retry("nosuch")
    with pytest.raises(UnknownApp):
        await refusals_of(replica).list("nosuch")


async def test_a_retry_that_the_fleet_would_not_hear_of_is_refused(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom
) -> None:
    wecom.fail(Endpoint.APP_TOKEN, untrusted)
    await world.run(outcome(replica.tokens.get(OWN_TARGET)))
    replica.store.cut()

    with pytest.raises(StoreUnavailable):
        await world.run(refusals_of(replica).retry("crm"))


async def test_a_credential_that_could_not_be_fetched_is_known_for_a_day(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    replica.refresh_ahead()
    wecom.fail(Endpoint.APP_TOKEN, untrusted)
    await world.run(outcome(replica.tokens.get(OWN_TARGET)))

    await clock.jump(23 * HOUR)
    entry = replica.memory.find(OWN)
    assert entry
    assert isinstance(entry.last_error, IpNotTrusted)
    await clock.jump(2 * HOUR)
    assert replica.memory.find(OWN) is None


def test_each_error_that_is_remembered_has_a_remedy() -> None:
    assert set(RETRY_RULES) == set(REMEDIES)
    for kind in REMEDIES:
        assert "{" not in remedy_of(kind, Whose("crm"), {})


@pytest.mark.parametrize("whose", [Whose("market", AppKind.THIRD_PARTY), Whose("isv", None)])
def test_the_address_of_a_suite_is_trusted_by_the_providers_list(whose: Whose) -> None:
    remedy = remedy_of(IpNotTrusted, whose, {"ip": "203.0.113.9"})

    assert "add 203.0.113.9 to the provider's IP白名单" in remedy
    assert "企业可信IP" not in remedy


def test_a_suites_own_secret_is_corrected_and_a_corps_permanent_code_is_replaced() -> None:
    of_suite, of_corp = (Whose("built", AppKind.CUSTOMIZED, corp) for corp in ("", "ww1"))

    assert "correct the secret of built" in remedy_of(SecretRejected, of_suite, {})
    assert "no new permanent code of ww1: press 重新获取secret" in remedy_of(SecretRejected, of_corp, {})


def test_the_shares_of_a_suite_are_listed_for_the_corp_that_shares_it() -> None:
    child = Whose("built", AppKind.CUSTOMIZED, "ww1child", "ww1")

    assert remedy_of(AppNotShared, child, {}).endswith("shares sync built --parent ww1")
    assert remedy_of(AppNotShared, Whose("crm"), {}).endswith("shares sync crm")


async def test_a_refusal_of_a_suite_is_listed_with_a_remedy_for_suites(world: EngineWorld) -> None:
    replica = await world.start()
    provider = Provider("isv", "ww0provider", Secret("secret"))
    suite = Suite("built", AppKind.CUSTOMIZED, "dk0suite", Secret("secret"), provider)
    replica.catalog.replace(Catalog({"crm": CRM}, {"built": suite}, {"isv": provider}))
    child = CredentialKey("built", "ww1child", 7, ShareKind.CORP_GROUP, parent_corp_id="ww1")
    for key, error in (
        (CredentialKey("built", "ww1", 1), SecretRejected("refused", errcode=40001)),
        (CredentialKey.provider_token(provider), untrusted()),
        (child, AppNotShared("not shared", errcode=670001)),
    ):
        await replica.error_cache.remember(key.name, error, app=key.app)

    remedies = {found.reason: found for found in await refusals_of(replica).list()}

    assert "permanent code of ww1" in remedies["SECRET_REJECTED"].remedy
    assert "provider's IP白名单" in remedies["IP_NOT_TRUSTED"].remedy
    assert "shares sync built --parent ww1" in remedies["APP_NOT_SHARED"].remedy
    assert "ww1" == remedies["APP_NOT_SHARED"].parent_corp_id


@pytest.mark.parametrize(
    "key", [OWN, CHILD, replace(CHILD, parent_corp_id="ww0group"), replace(OWN, corp_id="", agent_id=0)]
)
def test_a_credentials_name_is_read_as_what_it_names(key: CredentialKey) -> None:
    assert key == CredentialKey.read(key.name)


@pytest.mark.parametrize(
    "name", ["", "x", "limit:/cgi-bin/gettoken:ww1", "shares:crm:corp_group", "access_token:crm:own:ww1:x"]
)
def test_another_name_is_no_credentials(name: str) -> None:
    assert CredentialKey.read(name) is None


@pytest.mark.parametrize(
    ("scope", "name"),
    [
        (CallScope("crm", "ww1", "/cgi-bin/gettoken"), "limit:/cgi-bin/gettoken:ww1"),
        (CallScope("crm", "ww1", "/cgi-bin/a", is_proxied=True), "limit:/cgi-bin/a:crm:ww1"),
        (CallScope("crm", "ww1", "/cgi-bin/a:b", is_proxied=True), "limit:/cgi-bin/a:b:crm:ww1"),
        (CallScope("market", "", "/cgi-bin/a", is_proxied=True), "limit:/cgi-bin/a:market:market"),
    ],
)
def test_a_closed_endpoint_has_the_name_that_older_brokers_gave_it(scope: CallScope, name: str) -> None:
    assert name == scope.limited.name
    assert scope.limited == ClosedEndpoint.read(name)


@pytest.mark.parametrize("name", ["", "limit:", "limit:/cgi-bin/a", OWN.name, "shares:crm:corp_group"])
def test_another_name_is_no_closed_endpoints(name: str) -> None:
    assert ClosedEndpoint.read(name) is None


async def error_of(world: EngineWorld, call: Awaitable[object]) -> BrokerError:
    found = await world.run(outcome(call))
    assert isinstance(found, BrokerError)
    return found

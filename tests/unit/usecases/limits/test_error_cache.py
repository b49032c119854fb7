"""Errors as records: what one replica remembers, another one reads."""

import asyncio
from datetime import timedelta

import pytest

from broker.app.storage import storage_in
from broker.domain import errors
from broker.domain.errors import BrokerError, FieldMistake, RateLimited, RetryLater
from broker.domain.ports.collection import Collection
from broker.domain.ports.store import Notice, NoticeKind
from broker.domain.remembered_errors import RememberedError
from broker.usecases.fleet.replicated import Replicated
from broker.usecases.limits import error_cache
from broker.usecases.limits.error_cache import RETRY_RULES, ErrorCache
from tests.contract.observer import Notebook
from tests.kit.memory.fake_clock import FakeClock, FixedRandomness, settle
from tests.kit.memory.memory_event_log import MemoryEventLog, SharedLogs
from tests.kit.memory.memory_store import MemoryStore, NoSeal, Shared

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


class Fleet:
    """What refusals need of a world: a store, and a clock."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.shared = Shared(self.clock)
        self.randomness = FixedRandomness()

    def error_cache(self, fingerprint: str = "m1") -> ErrorCache:
        return ErrorCache(
            self._errors(), MemoryStore(self.shared), self.clock, self.randomness, {"crm": fingerprint}
        )

    def replicated(self, error_cache: ErrorCache) -> Replicated[str, RememberedError]:
        return Replicated(self._errors(), error_cache, self.clock)

    def _errors(self) -> Collection[str, RememberedError]:
        store = MemoryStore(self.shared)
        events = MemoryEventLog(store, SharedLogs(self.clock))
        return storage_in(store, events, NoSeal(), Notebook(), lambda _: "").errors


@pytest.fixture
def fleet() -> Fleet:
    return Fleet()


def made(kind: type[BrokerError]) -> BrokerError:
    named = ["corp_id"] if issubclass(kind, FieldMistake) else []
    return kind(*named, "as it was said", errcode=40001, endpoint="/cgi-bin/gettoken")


@pytest.mark.parametrize("kind", RETRY_RULES)
async def test_an_error_survives_the_store_as_it_was(fleet: Fleet, kind: type[BrokerError]) -> None:
    await fleet.error_cache().remember("scope", made(kind))

    with pytest.raises(kind) as raised:
        await fleet.error_cache().check("another scope", "scope")

    named = issubclass(kind, FieldMistake)
    assert kind is type(raised.value)
    assert ("corp_id: " if named else "") + "as it was said" == raised.value.message == str(raised.value)
    assert {
        "errcode": "40001",
        "endpoint": "/cgi-bin/gettoken",
        **({"field": "corp_id"} if named else {}),
    } == raised.value.metadata
    assert raised.value.remembered
    assert (raised.value.retry_after is not None) is isinstance(raised.value, RetryLater)


async def test_everybody_who_is_refused_gets_an_exception_of_their_own(fleet: Fleet) -> None:
    error_cache, original = fleet.error_cache(), made(errors.RateLimited)
    await error_cache.remember("scope", original)
    refused: list[BrokerError] = [original]
    for _ in range(2):
        with pytest.raises(errors.RateLimited) as raised:
            await error_cache.check("scope")
        refused.append(raised.value)

    assert 3 == len({id(error) for error in refused})
    assert 1 == len({(error.message, str(error.metadata)) for error in refused})


@pytest.mark.parametrize("kind", RETRY_RULES)
async def test_an_error_is_remembered_for_as_long_as_its_kind_says(
    fleet: Fleet, kind: type[BrokerError]
) -> None:
    error_cache = fleet.error_cache()
    await error_cache.remember("scope", made(kind))

    await fleet.clock.jump(RETRY_RULES[kind].first - timedelta(milliseconds=1))
    with pytest.raises(kind):
        await error_cache.check("scope")
    await fleet.clock.jump(timedelta(milliseconds=1))
    await error_cache.check("scope")
    await fleet.error_cache().check("scope")


@pytest.mark.parametrize(
    "kind", [kind for kind in RETRY_RULES if RETRY_RULES[kind].first < RETRY_RULES[kind].longest]
)
async def test_a_repeat_is_remembered_longer_but_not_for_ever(fleet: Fleet, kind: type[BrokerError]) -> None:
    error_cache, lengths = fleet.error_cache(), []
    for _ in range(12):
        await error_cache.remember("scope", made(kind))
        refusal = error_cache.active("scope")
        assert refusal
        lengths.append(refusal.until - fleet.clock.now())
        await fleet.clock.jump(lengths[-1])

    assert [RETRY_RULES[kind].first, min(2 * RETRY_RULES[kind].first, RETRY_RULES[kind].longest)] == lengths[
        :2
    ]
    assert RETRY_RULES[kind].longest == lengths[-1]
    assert lengths == sorted(lengths)


async def test_an_error_long_after_the_last_one_begins_anew(fleet: Fleet) -> None:
    error_cache = fleet.error_cache()
    for pause in (SECOND, 2 * MINUTE):
        await error_cache.remember("scope", made(errors.WecomUnavailable))
        await fleet.clock.jump(pause)
    await error_cache.remember("scope", made(errors.WecomUnavailable))

    refusal = error_cache.active("scope")
    assert refusal
    assert SECOND / 2 == refusal.until - fleet.clock.now()


async def test_the_streak_goes_on_with_another_replica(fleet: Fleet) -> None:
    one, other = fleet.error_cache(), fleet.error_cache()
    await one.remember("scope", made(errors.WecomUnavailable))
    with pytest.raises(errors.WecomUnavailable):
        await other.check("scope")
    await fleet.clock.jump(SECOND)
    await other.remember("scope", made(errors.WecomUnavailable))

    refusal = other.active("scope")
    assert refusal
    assert SECOND == refusal.until - fleet.clock.now()


async def test_an_error_of_no_known_kind_is_not_remembered(fleet: Fleet) -> None:
    error_cache = fleet.error_cache()
    error = errors.UnknownApp("who?")
    await error_cache.remember("scope", error)

    await error_cache.check("scope")
    assert not error.remembered


async def test_what_is_forgotten_is_forgotten_by_the_fleet(fleet: Fleet) -> None:
    one, other = fleet.error_cache(), fleet.error_cache()
    await one.remember("scope", made(errors.SecretRejected))
    with pytest.raises(errors.SecretRejected):
        await other.check("scope")
    await one.forget("scope")
    replicated = fleet.replicated(other)
    replicated.on_notice(Notice(NoticeKind.FORGOTTEN, RememberedError.name_of("scope"), fence=2**53))
    running = asyncio.create_task(replicated.run())
    await settle()
    running.cancel()

    await one.check("scope")
    await other.check("scope")


async def test_errors_are_bounded_however_many_apply(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(error_cache, "MOST_HELD", 50)
    cache = fleet.error_cache()
    for number in range(200):
        await cache.remember(f"limit:/cgi-bin/{number}", made(RateLimited))

    assert [f"limit:/cgi-bin/{number}" for number in range(150, 200)] == list(cache.held())
    with pytest.raises(RateLimited):
        await cache.check("limit:/cgi-bin/0")
    assert 50 == len(list(cache.held())), "what the store has comes back in another's place"


async def test_what_only_another_replica_remembers_can_be_lifted(fleet: Fleet) -> None:
    one, other = fleet.error_cache(), fleet.error_cache()
    await one.remember("scope", made(errors.SecretRejected))
    await other.lift("scope")

    await other.check("scope")
    await fleet.error_cache().check("scope")


async def test_another_secret_is_another_story(fleet: Fleet) -> None:
    await fleet.error_cache("m1").remember("scope", made(errors.SecretRejected), app="crm")

    await fleet.error_cache("m2").check("scope", app="crm")
    with pytest.raises(errors.SecretRejected):
        await fleet.error_cache("m1").check("scope", app="crm")


async def test_without_the_store_a_replica_remembers_by_itself(fleet: Fleet) -> None:
    error_cache = fleet.error_cache()
    fleet.shared.connections[0].cut()
    await error_cache.remember("scope", made(errors.SecretRejected))

    with pytest.raises(errors.SecretRejected):
        await error_cache.check("scope")
    await error_cache.forget("scope")
    await error_cache.check("scope")

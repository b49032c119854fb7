"""Where callbacks come from: WeCom's list is pulled daily, and again for a stranger, seldom."""

import asyncio
from collections.abc import Iterable
from datetime import timedelta

import pytest

from broker.domain.credentials import Credential
from broker.domain.errors import BrokerError, EnvelopeRejected, WecomProtocol, WecomUnavailable
from broker.usecases.callbacks.sender_allowlist import SenderAllowlist
from tests.kit.memory.engine_world import OWN, EngineWorld, Replica, Witness, outcome

WECOM, OTHER, STRANGER = "101.226.103.9", "140.207.54.1", "203.0.113.66"
LISTED = [WECOM, "140.207.54.0/24", "2402:4e00::/32"]
TEN_MINUTES, DAY = timedelta(minutes=10), timedelta(days=1)
MOMENT = timedelta(seconds=1)


class Addresses:
    """WeCom's list, as a test has it; each pull is counted."""

    def __init__(self, listed: Iterable[str] = LISTED) -> None:
        self.listed = list(listed)
        self.error: BrokerError | None = None
        self.hangs = False
        self.pulls = 0

    async def fetch_callback_addresses(self, token: Credential) -> list[str]:
        assert OWN == token.key
        self.pulls += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.error:
            raise self.error
        return self.listed


@pytest.fixture
def addresses() -> Addresses:
    return Addresses()


@pytest.fixture
def told() -> Witness:
    return Witness()


@pytest.fixture
def senders(
    replica: Replica, addresses: Addresses, told: Witness, monkeypatch: pytest.MonkeyPatch
) -> SenderAllowlist:
    monkeypatch.setattr("broker.usecases.callbacks.sender_allowlist.LOOKUP_SECONDS", 30.0)
    return SenderAllowlist(replica.engine, addresses, replica.clock, told, replica.tasks)


@pytest.fixture
def passes(world: EngineWorld, senders: SenderAllowlist) -> "Passes":
    return Passes(world, senders)


class Passes:
    """Tell whether a sender passes; time goes on meanwhile."""

    def __init__(self, world: EngineWorld, senders: SenderAllowlist) -> None:
        self._world = world
        self._senders = senders

    async def __call__(self, sender: str) -> bool:
        found = await self._world.run(outcome(self._senders.check("crm", OWN, sender)))
        if isinstance(found, EnvelopeRejected):
            assert "sender" == found.problem
            return False
        assert found is None
        return True


@pytest.mark.parametrize(
    "sender", [WECOM, OTHER, f"::ffff:{WECOM}", "2402:4e00:1::1", "::ffff:8ccf:3601", "2402:4E00::0:1"]
)
async def test_wecom_s_addresses_pass_and_a_day_has_one_pull(
    passes: Passes, world: EngineWorld, addresses: Addresses, sender: str
) -> None:
    for _ in range(23):
        assert await passes(sender)
        await world.clock.jump(timedelta(hours=1))
    assert 1 == addresses.pulls

    await world.clock.jump(timedelta(hours=2))
    assert await passes(sender)
    assert 2 == addresses.pulls


@pytest.mark.parametrize(
    "sender",
    [STRANGER, f"::ffff:{STRANGER}", "2402:4f00::1", "", "junk", f"{WECOM}:443", f"{WECOM}\0", "::", "0"],
)
async def test_a_stranger_is_refused_and_causes_one_more_pull_each_ten_minutes(
    passes: Passes, world: EngineWorld, addresses: Addresses, sender: str
) -> None:
    assert await passes(WECOM)
    for _ in range(100):
        assert not await passes(sender)
    assert 1 == addresses.pulls

    await world.clock.jump(TEN_MINUTES + MOMENT)
    for _ in range(100):
        assert not await passes(sender)
    assert 2 == addresses.pulls
    assert await passes(WECOM)


async def test_strangers_at_once_cause_one_pull(
    world: EngineWorld, senders: SenderAllowlist, addresses: Addresses
) -> None:
    found = await world.gather(*(outcome(senders.check("crm", OWN, f"203.0.113.{n}")) for n in range(50)))

    assert 1 == addresses.pulls
    assert all(isinstance(one, EnvelopeRejected) for one in found)


async def test_an_address_that_is_new_passes_once_it_is_listed(
    passes: Passes, world: EngineWorld, addresses: Addresses
) -> None:
    assert await passes(WECOM)
    addresses.listed = [STRANGER]
    assert not await passes(STRANGER)
    await world.clock.jump(TEN_MINUTES + MOMENT)

    assert await passes(STRANGER)
    # In a change both hold for a while (wecom-api A13).
    assert await passes(WECOM)


@pytest.mark.parametrize(
    "error", [WecomUnavailable("away"), WecomProtocol("no ip_list", endpoint="x")], ids=["away", "no answer"]
)
async def test_as_long_as_no_list_could_be_had_everybody_passes_and_it_is_told(
    passes: Passes, world: EngineWorld, told: Witness, addresses: Addresses, error: BrokerError
) -> None:
    addresses.error = error
    for _ in range(20):
        assert await passes(STRANGER)
    assert 1 == addresses.pulls
    assert ["pulling WeCom's addresses for crm"] == [what for what, _ in told.failures]

    addresses.error = None
    await world.clock.jump(TEN_MINUTES + MOMENT)
    assert not await passes(STRANGER)


async def test_a_list_that_was_had_holds_while_wecom_is_away(
    passes: Passes, world: EngineWorld, addresses: Addresses
) -> None:
    assert await passes(WECOM)
    addresses.error = WecomUnavailable("away")
    await world.clock.jump(2 * DAY)

    assert await passes(WECOM)
    assert not await passes(STRANGER)


@pytest.mark.parametrize("listed", [[], ["junk", "", "300.1.1.1", "101.226.103.0/33"]])
async def test_an_empty_list_says_nothing(passes: Passes, addresses: Addresses, listed: list[str]) -> None:
    addresses.listed = listed

    assert await passes(STRANGER)


@pytest.mark.parametrize("junk", ["junk", "*", "101.226.103.*/24", "101.*.103.9", "300.1.*", "1.2.3.4.*"])
async def test_what_is_no_address_is_passed_over_and_told(
    passes: Passes, addresses: Addresses, told: Witness, junk: str
) -> None:
    addresses.listed = [junk, WECOM, "140.207.54.7/24"]

    assert await passes(WECOM)
    assert await passes(OTHER)
    assert not await passes(STRANGER)
    [(what, problem)] = told.failures
    assert "crm" in what
    assert repr(junk) in str(problem)


@pytest.mark.parametrize(
    ("wildcard", "last", "next_one"),
    [
        ("101.226.103.*", "101.226.103.255", "101.226.104.0"),
        ("101.226.*.*", "101.226.255.255", "101.227.0.0"),
        ("101.226.*", "101.226.255.255", "101.227.0.0"),
    ],
)
async def test_a_wildcard_is_the_range_that_it_stands_for(
    passes: Passes, addresses: Addresses, wildcard: str, last: str, next_one: str
) -> None:
    addresses.listed = [wildcard]

    assert await passes(WECOM)
    assert await passes(last)
    assert not await passes(next_one)


async def test_a_list_that_does_not_come_is_waited_for_within_wecom_s_patience(
    senders: SenderAllowlist, addresses: Addresses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.usecases.callbacks.sender_allowlist.LOOKUP_SECONDS", 0.1)
    addresses.hangs = True
    async with asyncio.timeout(30):  # it would hang for ever
        assert None is await outcome(senders.check("crm", OWN, STRANGER))


async def test_a_clock_that_was_set_back_keeps_nobody_from_pulling(
    passes: Passes, replica: Replica, addresses: Addresses
) -> None:
    replica.clock.skew = timedelta(days=365)
    assert await passes(WECOM)
    replica.clock.skew = timedelta(0)
    addresses.listed = [STRANGER]

    assert await passes(STRANGER)
    assert 2 == addresses.pulls

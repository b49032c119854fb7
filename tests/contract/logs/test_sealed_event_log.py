"""Sealed events: nothing of them is readable in a store, and what does not open is in nobody's way."""

import os
from collections.abc import Sequence
from dataclasses import replace

import pytest

from broker.adapters.storage.event_codec import EVENTS
from broker.adapters.storage.parked_events import PARKED, ParkedEvents
from broker.adapters.storage.seal import Seal, SealKey
from broker.adapters.storage.sealed_event_log import SealedEventLog
from broker.adapters.system import SystemClock
from broker.domain.errors import StoreUnavailable
from broker.domain.ports.event_log import EventLog, EventStore
from tests.contract.event_fleets import ENTRIES
from tests.contract.events import ANA, APP, GROUP, append, appended, lag, takes, words
from tests.contract.making import FAR
from tests.contract.observer import Notebook
from tests.kit.memory.memory_event_log import MemoryEventLog, SharedLogs
from tests.kit.memory.memory_store import MemoryStore, Shared

OLD, NEW = SealKey("old", os.urandom(32)), SealKey("new", os.urandom(32))


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(Shared(SystemClock()))


@pytest.fixture
def inner(store: MemoryStore) -> EventStore:
    return MemoryEventLog(store, SharedLogs(SystemClock()))


@pytest.fixture
def notebook() -> Notebook:
    return Notebook()


@pytest.fixture
def log(inner: EventStore, notebook: Notebook) -> EventLog:
    return SealedEventLog(inner, Seal([NEW]), ENTRIES, notebook)


@pytest.fixture
def strange(inner: EventStore) -> EventLog:
    """The same log, as somebody with another key writes it."""
    return SealedEventLog(inner, Seal([OLD]), ENTRIES, Notebook())


async def test_nothing_of_an_event_is_readable_inside(log: EventLog, inner: EventStore) -> None:
    await append(log, payload=b"who did what")
    [entry] = await inner.read(APP, "", 10)

    assert b"who did what" not in entry.payload
    assert "who did what" == words(await log.read(APP, "", 10))


async def test_an_older_key_opens_what_it_sealed(inner: EventStore, strange: EventLog) -> None:
    await appended(strange, "a1")

    assert "a1" == await takes(SealedEventLog(inner, Seal([NEW, OLD]), ENTRIES, Notebook()), ANA)


async def test_what_does_not_open_is_told_and_given_up(
    log: EventLog, inner: EventStore, strange: EventLog, notebook: Notebook
) -> None:
    await appended(log, "a1")
    await appended(strange, "a2")
    await appended(log, "a3")

    assert "a1" == await takes(log, ANA, max_in_flight=1)
    assert "a3" == await takes(log, ANA, max_in_flight=2)
    assert ["opening an event"] == notebook.told
    assert 2 == (await lag(inner)).open


async def test_with_the_key_back_what_was_given_up_is_retried(
    log: EventLog, inner: EventStore, strange: EventLog
) -> None:
    given = await appended(strange, "a1 a2")
    assert "" == await takes(log, ANA)

    both = SealedEventLog(inner, Seal([NEW, OLD]), ENTRIES, Notebook())
    assert "a1 a2" == words(await both.dead(APP, GROUP, "", 10))
    assert 2 == await inner.retry(APP, GROUP, given)
    assert "a1 a2" == await takes(both, ANA)


async def test_a_page_of_the_dead_is_full_though_some_do_not_open(
    log: EventLog, strange: EventLog, inner: EventStore
) -> None:
    for text, key in (("a1", log), ("b1", strange), ("c1", log), ("d1", log)):
        await appended(key, text)
    await inner.give_up(APP, GROUP, [delivery.event.position for delivery in await inner.claim(ANA)])

    assert "a1 c1" == words(await log.dead(APP, GROUP, "", 2))


async def test_a_run_that_does_not_open_is_passed_at_once(log: EventLog, strange: EventLog) -> None:
    await appended(strange, "a1 a2 a3 a4 a5")
    await appended(log, "a6")

    assert "a6" == await takes(log, ANA, max_in_flight=2)
    assert "a6" == words(await log.read(APP, "", 2))


async def test_only_what_does_not_open_is_nothing(
    log: EventLog, inner: EventStore, strange: EventLog
) -> None:
    await appended(strange, "a1 a2")

    assert "" == await takes(log, ANA, max_in_flight=1)
    assert [] == await log.read(APP, "", 1)
    assert 0 == (await lag(inner)).open


async def test_an_event_of_another_app_does_not_open(
    log: EventLog, inner: EventStore, notebook: Notebook
) -> None:
    await append(log, app="hr")
    [entry] = await inner.read("hr", "", 1)
    await append(inner, entry.corp_id, entry.payload)

    assert "" == await takes(log, ANA)
    assert ["opening an event"] == notebook.told


async def test_what_does_not_open_is_left_out_of_the_dead(
    log: EventLog, strange: EventLog, inner: EventStore
) -> None:
    await appended(strange, "a1 b1")
    await appended(log, "c1")
    for _ in range(3):
        await inner.claim(replace(ANA, max_attempts=1))
        await inner.release(APP, GROUP, "ana")

    assert 3 == (await lag(inner)).dead
    assert "c1" == words(await log.dead(APP, GROUP, "", 1))


async def test_garbage_is_left_out(log: EventLog, inner: EventStore) -> None:
    for garbage in (b"", b"\xff", b"\x03new", os.urandom(100)):
        await append(inner, payload=garbage)

    assert "" == await takes(log, ANA)


async def test_a_store_that_goes_away_in_between_costs_no_opened_event(
    log: EventLog, strange: EventLog, inner: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await appended(log, "a1")
    await appended(strange, "b1")

    async def goes_away(*_: object) -> int:
        raise StoreUnavailable("it went away")

    with monkeypatch.context() as outage:
        outage.setattr(MemoryEventLog, "give_up", goes_away)
        assert "a1" == await takes(log, ANA)
    assert 0 == (await lag(inner)).dead

    # Nobody else would get it, as long as this member works.
    assert "" == await takes(log, ANA)
    assert 1 == (await lag(inner)).dead


async def test_what_opens_and_is_no_event_is_told_and_given_up(
    log: EventLog, inner: EventStore, notebook: Notebook
) -> None:
    """The seal is whole, but another version of the broker wrote what this one cannot read."""
    await appended(log, "a1")

    assert "" == words(await SealedEventLog(inner, Seal([NEW]), EVENTS, notebook).claim(ANA))
    assert ["opening an event"] == notebook.told
    assert (0, 1) == ((await lag(inner)).open, (await lag(inner)).dead)
    assert [] == await SealedEventLog(inner, Seal([NEW]), EVENTS, notebook).dead(APP, GROUP, "", 10)
    assert "a1" == words(await log.dead(APP, GROUP, "", 10))


class TestParked:
    """A replica that lacks a key sets events aside; one that has it brings them back, with nobody's help."""

    @pytest.fixture
    def lacks(self, store: MemoryStore, inner: EventStore, notebook: Notebook) -> EventLog:
        seal = Seal([NEW])
        return SealedEventLog(inner, seal, ENTRIES, notebook, ParkedEvents(store, inner, seal))

    @pytest.fixture
    def knows(self, store: MemoryStore, inner: EventStore) -> ParkedEvents:
        """The parking of a replica that has both keys."""
        return ParkedEvents(store, inner, Seal([NEW, OLD]))

    async def test_it_is_told_once_blocks_nobody_and_comes_back_once_the_key_is_known(
        self,
        lacks: EventLog,
        log: EventLog,
        strange: EventLog,
        store: MemoryStore,
        inner: EventStore,
        notebook: Notebook,
    ) -> None:
        await appended(strange, "a1 b1")
        await appended(log, "c1")
        assert "c1" == await takes(lacks, ANA)
        seal = Seal([NEW])
        parked = ParkedEvents(store, inner, seal)
        for _ in range(3):
            await parked.bring_back()
            assert "" == await takes(lacks, ANA)
        assert ["opening an event"] == notebook.told
        assert (1, 2) == ((await lag(inner)).open, (await lag(inner)).dead)

        seal.replace([NEW, OLD])
        await parked.bring_back()
        assert "a1 b1" == await takes(SealedEventLog(inner, seal, ENTRIES, Notebook(), parked), ANA)
        await parked.bring_back()
        assert [] == await store.members(PARKED, 0, 9)

    async def test_it_comes_back_though_its_name_was_struck_before_it_was_given_up(
        self, lacks: EventLog, strange: EventLog, knows: ParkedEvents, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A replica that has the key looks for what is parked just then."""
        give_up = MemoryEventLog.give_up

        async def after_a_look(log: MemoryEventLog, app: str, group: str, positions: Sequence[str]) -> int:
            await knows.bring_back()
            return await give_up(log, app, group, positions)

        await appended(strange, "a1")
        monkeypatch.setattr(MemoryEventLog, "give_up", after_a_look)
        assert "" == await takes(lacks, ANA)

        await knows.bring_back()

        assert "a1" == await takes(strange, ANA)

    async def test_it_comes_back_though_it_was_set_aside_again_at_once(
        self, lacks: EventLog, strange: EventLog, knows: ParkedEvents, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A member that lacks the key is quicker than whoever brought it back."""
        retry = MemoryEventLog.retry
        await appended(strange, "a1")
        assert "" == await takes(lacks, ANA)

        async def then_taken(log: MemoryEventLog, app: str, group: str, positions: Sequence[str]) -> int:
            found = await retry(log, app, group, positions)
            assert "" == await takes(lacks, ANA)
            return found

        with monkeypatch.context() as quick:
            quick.setattr(MemoryEventLog, "retry", then_taken)
            await knows.bring_back()
        assert "" == await takes(strange, ANA)

        await knows.bring_back()

        assert "a1" == await takes(strange, ANA)

    async def test_what_is_damaged_stays_dead(
        self, lacks: EventLog, knows: ParkedEvents, store: MemoryStore, inner: EventStore
    ) -> None:
        await append(inner, payload=b"\x03new garbage that is long enough to be sealed")
        assert "" == await takes(lacks, ANA)
        await knows.bring_back()

        assert 1 == (await lag(inner)).dead
        assert [] == await store.members(PARKED, 0, 9)

    @pytest.mark.parametrize("name", ["", "x", "[" * 100_000, "[1,2,3,4]", '["crm"]', "null"])
    async def test_a_forged_name_is_dropped(self, store: MemoryStore, inner: EventStore, name: str) -> None:
        await store.enlist(PARKED, name, FAR)
        await ParkedEvents(store, inner, Seal([NEW])).bring_back()

        assert [] == await store.members(PARKED, 0, 9)

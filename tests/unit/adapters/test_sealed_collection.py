"""`SealedCollection`: what cannot be read counts as missing; what an old key sealed is sealed anew."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Self

import pytest

from broker.adapters.storage import codecs
from broker.adapters.storage.collection import OPENED_IN_A_ROW, SealedCollection
from broker.adapters.storage.payload import RecordDamaged
from broker.adapters.storage.seal import Seal, SealBroken, SealKey
from broker.adapters.storage.suite_codecs import SUITE_TICKETS
from broker.adapters.system import SystemClock
from broker.domain.corps import ShareKind
from broker.domain.credentials import Credential, CredentialKey
from broker.domain.errors import StoreUnavailable
from broker.domain.ports.collection import Stored
from broker.domain.ports.observer import Damage
from broker.domain.ports.store import Lease, Record
from broker.domain.secret import Secret
from broker.domain.suites.ticket import SuiteTicket
from tests.contract.making import FAR, NAME, held, record, taken
from tests.contract.observer import Notebook
from tests.contract.sealed import SealedStore
from tests.contract.waiting import listening
from tests.kit.memory.memory_store import MemoryStore, Shared

OLD = SealKey("k1", bytes(range(32)))
NEW = SealKey("k2", bytes(range(32, 64)))
Credentials = SealedCollection[CredentialKey, Credential]
NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
BAD = CredentialKey("crm", "ww-child", 7, ShareKind.CORP_GROUP)
GOOD = Credential(
    CredentialKey("crm", "ww1", 1000002), Secret("token"), 5, 5, NOW, NOW + timedelta(hours=2), NOW
)


@pytest.fixture
def inner() -> MemoryStore:
    return MemoryStore(Shared(SystemClock()))


@pytest.fixture
def notebook() -> Notebook:
    return Notebook()


@pytest.fixture
def store(inner: MemoryStore, notebook: Notebook) -> SealedStore:
    return SealedStore(inner, Seal([OLD]), notebook)


async def test_every_way_to_write_seals(store: SealedStore, inner: MemoryStore) -> None:
    seal = Seal([OLD])

    async def sealed() -> bytes:
        return (await inner.load([NAME]))[NAME].payload

    await store.offer(record(1, b"offered"))
    assert b"offered" == seal.open(NAME, await sealed())
    await store.replace(record(1, b"replaced"))
    assert b"replaced" == seal.open(NAME, await sealed())
    lease = await taken(store)
    await store.commit(record(lease.fence, b"committed"), lease)
    assert b"committed" == seal.open(NAME, await sealed())


async def test_a_tombstone_passes_unsealed(
    store: SealedStore, inner: MemoryStore, notebook: Notebook
) -> None:
    await store.offer(record(1))
    await store.forget(NAME, 1)

    assert (1, b"") == await held(inner)
    assert (await store.load([NAME]))[NAME].is_tombstone
    assert [] == notebook.failures


async def test_what_was_moved_to_another_name_is_missing(
    store: SealedStore, inner: MemoryStore, notebook: Notebook
) -> None:
    await store.offer(record(1, b"payload", "child of ww1"))
    moved = (await inner.load(["child of ww1"]))["child of ww1"]
    await inner.offer(record(1, moved.payload, "child of ww2"))

    assert ["child of ww1"] == list(await store.load(["child of ww1", "child of ww2"]))
    assert [SealBroken] == [type(error) for error in notebook.failures]
    assert "child of ww2" in str(notebook.failures[0])


@pytest.mark.parametrize("keys", [[NEW], [SealKey("k1", bytes(32))]], ids=["unknown", "another of that name"])
async def test_what_a_wrong_key_sealed_is_missing_and_told(
    inner: MemoryStore, notebook: Notebook, keys: list[SealKey]
) -> None:
    await SealedStore(inner, Seal([OLD]), Notebook()).offer(record(1))

    assert {} == await SealedStore(inner, Seal(keys), notebook).load([NAME])
    assert ["opening a record"] == notebook.told


@pytest.mark.parametrize("garbage", [b"x", b"\x02k1", b"\x02k1123", b"\x02k1" + b"x" * 12, b"\xff"])
async def test_garbage_is_missing_and_told(
    store: SealedStore, inner: MemoryStore, notebook: Notebook, garbage: bytes
) -> None:
    await inner.offer(record(1, garbage))
    await store.offer(record(1, b"good", "good"))

    assert ["good"] == list(await store.load([NAME, "good"]))
    assert ["opening a record"] == notebook.told


async def test_what_does_not_open_is_written_over(store: SealedStore, inner: MemoryStore) -> None:
    await inner.offer(record(1, b"garbage"))
    lease = await taken(store)

    assert await store.commit(record(lease.fence), lease)
    assert (lease.fence, b"payload") == await held(store)


async def test_what_an_old_key_sealed_is_opened_and_sealed_with_the_first(
    inner: MemoryStore, notebook: Notebook
) -> None:
    await SealedStore(inner, Seal([OLD]), notebook).offer(record(1))
    rotated = SealedStore(inner, Seal([NEW, OLD]), notebook)

    async with listening(inner) as ear:
        assert (1, b"payload") == await held(rotated)
        assert ear.heard.empty(), "nothing changed for anybody"
    assert (1, b"payload") == await held(SealedStore(inner, Seal([NEW]), notebook))
    assert [] == notebook.failures


async def test_what_the_first_key_sealed_is_left_as_it_is(store: SealedStore, inner: MemoryStore) -> None:
    await store.offer(record(1))
    before = await held(inner)
    await store.load([NAME])

    assert before == await held(inner)


async def test_what_was_forgotten_while_it_is_sealed_anew_stays_forgotten(notebook: Notebook) -> None:
    class Forgetful(MemoryStore):
        """Somebody forgets the record right after it was read."""

        async def load(self, names: Sequence[str]) -> dict[str, Record]:
            found = await super().load(names)
            await self.forget(NAME, found[NAME].fence)
            return found

    inner = Forgetful(Shared(SystemClock()))
    await SealedStore(inner, Seal([OLD]), notebook).offer(record(1))
    await SealedStore(inner, Seal([NEW, OLD]), notebook).load([NAME])

    assert (await inner.load([NAME]))[NAME].is_tombstone


async def test_a_store_that_is_away_is_away_for_the_sealed_one_too(
    store: SealedStore, inner: MemoryStore, notebook: Notebook
) -> None:
    inner.cut()

    for command in (store.load([NAME]), store.ping(), store.offer(record(1)), store.counts(["a"])):
        with pytest.raises(StoreUnavailable):
            await command
    assert [] == notebook.failures


@pytest.fixture
def credentials(inner: MemoryStore, notebook: Notebook) -> Credentials:
    return SealedCollection(inner, Seal([OLD]), codecs.CREDENTIALS, notebook)


class TestAttack:
    """Somebody writes to the store: an error, told once, and the record is replaced."""

    async def test_an_older_record_under_a_higher_number_is_missing_and_gives_way(
        self, credentials: Credentials, inner: MemoryStore, notebook: Notebook
    ) -> None:
        newer = replace(GOOD, value=Secret("newer"), generation=6, fence=6)
        await credentials.offer(GOOD)
        old = (await inner.load([GOOD.key.name]))[GOOD.key.name]
        await credentials.offer(newer)
        inner._shared.records[GOOD.key.name] = replace(old, fence=2**50)

        for _ in range(3):
            assert None is await credentials.find(GOOD.key)
        assert [Damage.RECORD] == notebook.damage
        assert await credentials.offer(newer)
        assert newer == await credentials.find(GOOD.key)

    async def test_two_records_that_were_swapped_are_missing_and_give_way(
        self, credentials: Credentials, inner: MemoryStore, notebook: Notebook
    ) -> None:
        another = replace(GOOD, key=BAD)
        await credentials.offer(GOOD)
        await credentials.offer(another)
        records = inner._shared.records
        one, two = records[GOOD.key.name], records[BAD.name]
        records[GOOD.key.name], records[BAD.name] = (
            replace(one, payload=two.payload),
            replace(two, payload=one.payload),
        )

        assert {} == await credentials.load([GOOD.key, BAD])
        assert [Damage.RECORD] * 2 == notebook.damage
        assert await credentials.offer(GOOD)
        assert await credentials.offer(another)
        assert [GOOD, another] == [await credentials.find(key) for key in (GOOD.key, BAD)]

    async def test_what_somebody_replaced_meanwhile_is_not_overwritten(
        self, credentials: Credentials, inner: MemoryStore
    ) -> None:
        await inner.offer(Record(GOOD.key.name, 9, b"garbage", FAR))
        assert None is await credentials.find(GOOD.key)
        newer = replace(GOOD, value=Secret("newer"), generation=10, fence=10)
        other = SealedCollection(inner, Seal([OLD]), codecs.CREDENTIALS, Notebook())
        await other.offer(newer)

        assert not await credentials.offer(GOOD)
        assert newer == await credentials.find(GOOD.key)

    async def test_a_tombstone_of_what_no_broker_forgets_is_damage_and_gives_way(
        self, inner: MemoryStore, notebook: Notebook
    ) -> None:
        tickets = SealedCollection(inner, Seal([OLD]), SUITE_TICKETS, notebook)
        ticket = SuiteTicket("market", Secret("a-suite-ticket"), NOW)
        await tickets.offer(ticket)
        await inner.forget(SuiteTicket.name_of("market"), 10**14)

        assert [{}, {}] == [await tickets.load(["market"]) for _ in range(2)]
        assert [Damage.RECORD] == notebook.damage
        assert await tickets.offer(ticket)
        assert ticket == await tickets.find("market")

    async def test_what_this_broker_forgot_and_somebody_puts_back_is_missing(
        self, credentials: Credentials, inner: MemoryStore, notebook: Notebook
    ) -> None:
        await credentials.offer(GOOD)
        saved = inner._shared.records[GOOD.key.name]
        await credentials.forget(GOOD.key, GOOD.fence)
        inner._shared.records[GOOD.key.name] = saved

        assert None is await credentials.find(GOOD.key)
        assert [Damage.RECORD] == notebook.damage
        newer = replace(GOOD, value=Secret("newer"), generation=6, fence=6)
        await credentials.offer(newer)
        assert newer == await credentials.find(GOOD.key)

    async def test_a_record_of_an_older_broker_is_read_under_its_number(
        self, credentials: Credentials, inner: MemoryStore
    ) -> None:
        payload = json.loads(codecs.CREDENTIALS.encode(GOOD).payload)
        del payload["fence"]
        sealed = Seal([OLD]).close(GOOD.key.name, json.dumps(payload).encode())
        await inner.offer(Record(GOOD.key.name, GOOD.fence, sealed, FAR))

        assert GOOD == await credentials.find(GOOD.key)


class TestUnknownKey:
    """Replicas get a new seal key one after the other: who lacks it waits, and harms nothing."""

    @pytest.fixture
    async def rotated(self, inner: MemoryStore) -> Credentials:
        rotated = SealedCollection(inner, Seal([NEW, OLD]), codecs.CREDENTIALS, Notebook())
        await rotated.offer(GOOD)
        return rotated

    async def test_it_is_there_and_cannot_be_read_yet(
        self, rotated: Credentials, credentials: Credentials, notebook: Notebook
    ) -> None:
        for _ in range(3):
            assert {GOOD.key: Stored(GOOD.fence, None, is_readable=False)} == await credentials.load(
                [GOOD.key]
            )
        with pytest.raises(StoreUnavailable, match="key that this broker does not have yet"):
            await credentials.find(GOOD.key)
        assert [Damage.KEY_UNKNOWN] == notebook.damage

    async def test_an_older_value_does_not_replace_it_and_a_newer_one_does(
        self, rotated: Credentials, credentials: Credentials
    ) -> None:
        await credentials.load([GOOD.key])
        assert not await credentials.offer(replace(GOOD, fence=GOOD.fence - 1))
        assert GOOD == await rotated.find(GOOD.key)

        newer = replace(GOOD, value=Secret("newer"), generation=6, fence=6)
        assert await credentials.offer(newer)
        assert newer == await rotated.find(GOOD.key)


class TestDamage:
    """One record that cannot be read harms nobody else, and is reported once."""

    @pytest.mark.parametrize(
        "payload",
        [b"", b"garbage", b"null", b'{"value": "x"}', b"\xff", b'{"value": 5}', b'{"expires_at": 1e300}'],
    )
    async def test_it_is_missing_and_the_others_of_the_batch_are_there(
        self,
        credentials: Credentials,
        inner: MemoryStore,
        notebook: Notebook,
        payload: bytes,
    ) -> None:
        await credentials.offer(GOOD)
        await inner.offer(Record(BAD.name, 1, Seal([OLD]).close(BAD.name, payload), FAR))

        assert {GOOD.key: Stored(GOOD.fence, GOOD)} == await credentials.load([BAD, GOOD.key])
        assert None is await credentials.find(BAD)
        assert [RecordDamaged] == [type(error) for error in notebook.failures]
        assert BAD.name in str(notebook.failures[0])

    @pytest.mark.parametrize("fence", [-1, 0, 2**53, 2**70])
    async def test_a_fencing_number_out_of_range_is_damage(
        self,
        credentials: Credentials,
        inner: MemoryStore,
        notebook: Notebook,
        fence: int,
    ) -> None:
        await credentials.offer(GOOD)
        inner._shared.records[GOOD.key.name] = replace(inner._shared.records[GOOD.key.name], fence=fence)

        assert {} == await credentials.load([GOOD.key])
        assert [RecordDamaged] == [type(error) for error in notebook.failures]

    async def test_it_is_reported_once_without_a_traceback_and_again_after_it_was_well(
        self,
        credentials: Credentials,
        inner: MemoryStore,
        notebook: Notebook,
    ) -> None:
        await inner.offer(Record(GOOD.key.name, 1, b"garbage", FAR))
        for _ in range(3):
            await credentials.find(GOOD.key)
        assert ["opening a record"] == notebook.told
        assert None is notebook.failures[0].__traceback__

        await credentials.offer(GOOD)
        assert GOOD == await credentials.find(GOOD.key)
        await inner.offer(Record(GOOD.key.name, GOOD.fence + 1, b"garbage", FAR))
        await credentials.find(GOOD.key)
        assert 2 == len(notebook.told)

    async def test_a_tombstone_is_found_by_load_alone(self, credentials: Credentials) -> None:
        await credentials.offer(GOOD)
        await credentials.forget(GOOD.key, GOOD.fence)

        assert {GOOD.key: Stored(GOOD.fence, None)} == await credentials.load([GOOD.key])
        assert None is await credentials.find(GOOD.key)


class Turns:
    """Count the turns that other tasks get. A context manager."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> Self:
        self._task = asyncio.create_task(self._take_turns())
        return self

    def __exit__(self, *_: object) -> None:
        self._task.cancel()

    async def _take_turns(self) -> None:
        while True:
            self.count += 1
            await asyncio.sleep(0)


async def test_however_many_are_loaded_calls_get_their_turn_after_every_few(
    inner: MemoryStore, notebook: Notebook
) -> None:
    written = SealedCollection(inner, Seal([OLD]), codecs.CREDENTIALS, notebook)
    keys = [CredentialKey("crm", f"ww{number}", number) for number in range(500)]
    for key in keys:
        await written.offer(replace(GOOD, key=key))
    opened_at: Counter[int] = Counter()

    def decode(key: CredentialKey, record: Record) -> Credential:
        opened_at[turns.count] += 1
        return codecs.CREDENTIALS.decode(key, record)

    reading = SealedCollection(inner, Seal([OLD]), replace(codecs.CREDENTIALS, decode=decode), notebook)
    with Turns() as turns:
        found = await reading.load(keys)

    assert keys == list(found)
    assert OPENED_IN_A_ROW >= max(opened_at.values())


class TestAnotherAppOfTheName:
    """A record of an app that had the name before, or has it elsewhere: missing, and nobody's damage."""

    OTHERS = replace(GOOD, identity="ww1/1000001", fence=9)
    OWN = replace(GOOD, identity="ww1/1000002")

    @pytest.fixture
    def others(self, inner: MemoryStore) -> Credentials:
        return SealedCollection(
            inner, Seal([OLD]), codecs.CREDENTIALS, Notebook(), lambda _: self.OTHERS.identity
        )

    @pytest.fixture
    def own(self, inner: MemoryStore, notebook: Notebook) -> Credentials:
        return SealedCollection(inner, Seal([OLD]), codecs.CREDENTIALS, notebook, lambda _: self.OWN.identity)

    async def test_it_is_missing_and_what_is_new_takes_its_place(
        self, own: Credentials, others: Credentials, notebook: Notebook
    ) -> None:
        assert await others.offer(self.OTHERS)

        assert {GOOD.key: Stored(9, None, is_others=True)} == await own.load([GOOD.key])
        assert None is await own.find(GOOD.key)
        assert await own.supplant(self.OWN)
        assert self.OWN == await own.find(GOOD.key)
        assert None is await others.find(GOOD.key)
        assert [] == notebook.damage

    async def test_it_stays_where_something_older_is_offered_again(
        self, own: Credentials, others: Credentials
    ) -> None:
        assert await others.offer(self.OTHERS)

        assert not await own.offer(self.OWN)
        assert self.OTHERS == await others.find(GOOD.key)
        assert await own.offer(replace(self.OWN, fence=self.OTHERS.fence + 1))
        assert await own.find(GOOD.key)

    async def test_it_gives_way_to_a_commit(
        self, own: Credentials, others: Credentials, inner: MemoryStore
    ) -> None:
        assert await others.offer(self.OTHERS)
        lease = await inner.acquire(GOOD.key.name, timedelta(seconds=5))
        assert isinstance(lease, Lease)

        assert await own.commit(replace(self.OWN, fence=lease.fence), lease)
        assert await own.find(GOOD.key)

    async def test_what_was_fetched_for_another_app_is_not_written(
        self, own: Credentials, inner: MemoryStore
    ) -> None:
        lease = await inner.acquire(GOOD.key.name, timedelta(seconds=5))
        assert isinstance(lease, Lease)

        assert not own.is_current(self.OTHERS)
        assert not await own.offer(self.OTHERS)
        assert not await own.supplant(self.OTHERS)
        assert not await own.commit(replace(self.OTHERS, fence=lease.fence), lease)
        assert {} == await inner.load([GOOD.key.name])

    async def test_one_of_an_older_broker_tells_no_app_and_is_not_supplanted(self, own: Credentials) -> None:
        older = replace(GOOD, fence=9)
        assert await own.offer(older)

        assert older == await own.find(GOOD.key)
        assert not await own.supplant(self.OWN)

    async def test_where_nothing_of_the_name_is_configured_everything_is_read(
        self, credentials: Credentials, others: Credentials
    ) -> None:
        assert await others.offer(self.OTHERS)

        assert self.OTHERS == await credentials.find(GOOD.key)

    @pytest.mark.parametrize("payload", [b"", b"garbage"])
    async def test_only_what_is_surely_another_apps_is_supplanted(
        self, own: Credentials, inner: MemoryStore, payload: bytes
    ) -> None:
        await inner.offer(Record(GOOD.key.name, 9, payload, FAR))

        assert not await own.supplant(self.OWN)

"""`Groups`: names that belong together, listed in the order in which they end."""

import asyncio
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

from broker.adapters.redis.store import RedisStore
from broker.adapters.sqlite.store import open_sqlite
from broker.adapters.system import SystemClock
from broker.domain.ports.store import Store
from tests.contract.fleets import Fleet
from tests.contract.making import FAR, SHORT
from tests.contract.observer import Notebook
from tests.contract.waiting import eventually
from tests.kit.processes.redis_server import RedisServer
from tests.kit.redis_at import connect_redis

HOUR = timedelta(hours=1)
FOREVER = datetime(9999, 1, 1, tzinfo=UTC)
MANY = 10_000


def soon(hours: int = 1) -> datetime:
    return datetime.now(UTC) + hours * HOUR


async def names(store: Store, group: str = "corps") -> list[str]:
    return await store.members(group, 0, 100)


async def test_a_group_that_nobody_enlisted_in_has_no_members(store: Store) -> None:
    assert [] == await names(store)


async def test_names_are_in_the_order_in_which_they_end(store: Store) -> None:
    for name, hours in (("last", 3), ("first", 1), ("middle", 2)):
        await store.enlist("corps", name, soon(hours))

    assert ["first", "middle", "last"] == await names(store)


async def test_names_that_end_together_are_in_the_order_of_their_bytes(store: Store) -> None:
    given = ["ww-b", "WW-b", "ww-a", "中", "ü", "ww-a:1", "𠀀", "\uffff"]
    for name in given:
        await store.enlist("corps", name, FOREVER)

    assert sorted(given, key=str.encode) == await names(store)


async def test_pages_follow_one_another_and_the_last_is_not_full(store: Store) -> None:
    for number in range(7):
        await store.enlist("corps", f"ww{number}", FAR)

    assert ["ww0", "ww1", "ww2"] == await store.members("corps", 0, 3)
    assert ["ww3", "ww4", "ww5"] == await store.members("corps", 3, 3)
    assert ["ww6"] == await store.members("corps", 6, 3)
    assert [] == await store.members("corps", 7, 3)
    assert [] == await store.members("corps", 0, 0)


async def test_a_name_is_a_member_once(store: Store) -> None:
    for _ in range(3):
        await store.enlist("corps", "ww1", FAR)

    assert ["ww1"] == await names(store)


async def test_a_name_is_kept_longer_and_never_shorter(store: Store) -> None:
    await store.enlist("corps", "ww1", soon(1))
    await store.enlist("corps", "ww2", soon(2))
    await store.enlist("corps", "ww1", soon(3))
    assert ["ww2", "ww1"] == await names(store)

    await store.enlist("corps", "ww1", datetime.now(UTC) - HOUR)
    await store.enlist("corps", "ww1", soon(1))
    assert ["ww2", "ww1"] == await names(store)


async def test_a_name_whose_time_has_passed_is_no_member(store: Store) -> None:
    await store.enlist("corps", "ww1", datetime.now(UTC) + SHORT)
    await store.enlist("corps", "ww2", FAR)

    await eventually(lambda: names(store), lambda found: found == ["ww2"])
    await store.enlist("corps", "ww0", datetime.now(UTC) - SHORT)
    assert ["ww2"] == await names(store)
    await store.enlist("corps", "ww1", FAR)
    assert ["ww1", "ww2"] == await names(store)


async def test_a_name_that_is_struck_is_no_member(store: Store) -> None:
    await store.enlist("corps", "ww1", FAR)
    await store.enlist("corps", "ww2", FAR)
    await store.strike("corps", "ww1")
    await store.strike("corps", "a stranger")
    await store.strike("no group", "ww2")

    assert ["ww2"] == await names(store)


async def test_a_name_that_is_struck_may_end_earlier_when_it_comes_back(store: Store) -> None:
    await store.enlist("corps", "ww1", FAR)
    await store.enlist("corps", "ww2", soon(2))
    await store.strike("corps", "ww1")
    await store.enlist("corps", "ww1", soon(1))

    assert ["ww1", "ww2"] == await names(store)


async def test_groups_are_apart(store: Store) -> None:
    await store.enlist("a", "ww1", FAR)
    await store.enlist("b", "ww2", FAR)
    await store.strike("b", "ww1")

    assert (["ww1"], ["ww2"]) == (await names(store, "a"), await names(store, "b"))


async def test_replicas_see_one_group(store: Store, other: Store) -> None:
    await store.enlist("corps", "ww1", soon(1))
    await other.enlist("corps", "ww2", soon(2))
    await other.enlist("corps", "ww1", soon(3))
    assert ["ww2", "ww1"] == await names(store) == await names(other)

    await other.strike("corps", "ww2")
    assert ["ww1"] == await names(store)


async def test_no_name_is_lost_among_many_that_enlist_at_once(store: Store, other: Store) -> None:
    await asyncio.gather(
        *[one.enlist("corps", f"ww{number:02}", FAR) for number in range(50) for one in (store, other)]
    )

    assert [f"ww{number:02}" for number in range(50)] == await names(store)


async def test_a_group_is_no_record_and_no_tally(store: Store) -> None:
    await store.enlist("corps", "ww1", FAR)

    assert {} == await store.load(["corps", "ww1"])
    assert {"corps": 0} == await store.counts(["corps"])


async def test_a_store_that_lost_its_data_has_no_members(fleet: Fleet, store: Store) -> None:
    await store.enlist("corps", "ww1", FAR)
    await fleet.lose_data()
    assert [] == await names(store)

    await store.enlist("corps", "ww2", FAR)
    assert ["ww2"] == await names(store)


async def test_ten_thousand_names_are_listed_in_pages(store: Store, other: Store) -> None:
    given = [f"wpABC{number:05}" for number in range(MANY)]
    for begin in range(0, MANY, 100):
        await asyncio.gather(*(store.enlist("corps", name, FOREVER) for name in given[begin : begin + 100]))

    found: list[str] = []
    while page := await other.members("corps", len(found), 1000):
        found += page
    assert given == found
    assert given == await other.members("corps", 0, 2 * MANY)


async def test_a_group_leaves_redis_with_its_last_name(redis_server: RedisServer) -> None:
    async with connect_redis(redis_server.url) as client:
        store = RedisStore(client, "test-ends", SystemClock(), Notebook())
        key = "test-ends:{corps}:names"
        await store.enlist("corps", "ww1", FOREVER)
        assert FOREVER.timestamp() * 1000 == await client.run(lambda redis: redis.pexpiretime(key))
        await store.strike("corps", "ww1")
        assert 0 == await client.run(lambda redis: redis.exists(key))

        await store.enlist("corps", "ww1", datetime.now(UTC) + SHORT)
        await eventually(lambda: client.run(lambda redis: redis.exists(key)), lambda found: found == 0)


async def test_names_that_ended_leave_the_file(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with open_sqlite(path, SystemClock()) as store:
        await store.enlist("sessions", "s1", datetime.now(UTC) + SHORT)
        await store.enlist("corps", "ww1", FOREVER)
        await eventually(lambda: names(store, "sessions"), lambda found: found == [])

    async with open_sqlite(path, SystemClock()) as store:
        database = sqlite3.connect(path)
        assert [("ww1",)] == database.execute("SELECT name FROM grouped_names").fetchall()
        database.close()
        assert ["ww1"] == await names(store)


async def test_a_file_of_a_broker_that_knew_no_groups_gets_the_table(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with open_sqlite(path, SystemClock()):
        pass
    database = sqlite3.connect(path)
    database.execute("DROP TABLE grouped_names")
    database.close()

    async with open_sqlite(path, SystemClock()) as store:
        await store.enlist("corps", "ww1", FOREVER)
        assert ["ww1"] == await names(store)

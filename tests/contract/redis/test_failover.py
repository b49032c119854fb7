"""Replies that say "this is not the server you want": the right one is found by the address, in seconds."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from broker.adapters.redis.client import RedisClient
from broker.adapters.redis.replies import WRONG_SERVER, cause_of, comes_from_wrong_server
from broker.adapters.redis.store import RedisStore
from broker.adapters.system import SystemClock
from broker.domain.errors import StoreUnavailable
from broker.domain.ports.store import Notice, NoticeKind
from tests.contract.making import NAME, record
from tests.contract.observer import Notebook
from tests.contract.waiting import eventually, listening
from tests.kit.processes.redis_server import RedisServer
from tests.kit.processes.tcp_relay import Relay, relay_to
from tests.kit.redis_at import connect_redis

SECONDS = 5.0
"""What a broker may need to find the new primary."""

REPLIES = {
    "READONLY": "READONLY You can't write against a read only replica.",
    "MASTERDOWN": "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "NOREPLICAS": "NOREPLICAS Not enough good replicas to write.",
    "LOADING": "LOADING Redis is loading the dataset in memory",
    "MOVED": "MOVED 3999 127.0.0.1:6381",
    "ASK": "ASK 3999 127.0.0.1:6381",
    "CLUSTERDOWN": "CLUSTERDOWN Hash slot not served",
    "NOAUTH": "NOAUTH Authentication required.",
    "WRONGPASS": "WRONGPASS invalid username-password pair or user is disabled.",
    "max number of clients reached": "ERR max number of clients reached",
    "MISCONF": "MISCONF Redis is configured to save RDB snapshots, but it's unable to persist to disk.",
    "OOM": "OOM command not allowed when used memory > 'maxmemory'.",
    "BUSY": "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "TRYAGAIN": "TRYAGAIN Multiple keys request during rehashing of slot",
    "NOSCRIPT": "NOSCRIPT No matching script. Please use EVAL.",
    "WRONGTYPE": "WRONGTYPE Operation against a key holding the wrong kind of value",
    "NOPERM": "NOPERM User broker has no permissions to run the 'evalsha' command",
    "CROSSSLOT": "CROSSSLOT Keys in request don't hash to the same slot",
    "EXECABORT": "EXECABORT Transaction discarded because of previous errors.",
    "NOPROTO": "NOPROTO unsupported protocol version",
}
"""As the servers write them."""


@pytest.fixture
async def relay(redis_server: RedisServer) -> AsyncIterator[Relay]:
    async with relay_to(redis_server.port) as relay:
        yield relay


@pytest.fixture
async def client(relay: Relay, patient_client: None) -> AsyncIterator[RedisClient]:
    async with connect_redis(relay.url) as client:
        yield client


@pytest.fixture
def notebook() -> Notebook:
    return Notebook()


@pytest.fixture
def store(client: RedisClient, notebook: Notebook, request: pytest.FixtureRequest) -> RedisStore:
    return RedisStore(client, f"test-{request.node.name}", SystemClock(), notebook)


@pytest.fixture
def two_servers(tmp_path: Path) -> Iterator[tuple[RedisServer, RedisServer]]:
    with RedisServer(tmp_path / "one") as one, RedisServer(tmp_path / "two") as two:
        yield one, two


async def ask(server: RedisServer, *command: object) -> object:
    async with Redis(port=server.port) as redis:
        return await redis.execute_command(*command)  # type: ignore[no-untyped-call]


async def replicate(replica: RedisServer, primary: RedisServer) -> None:
    await ask(replica, "REPLICAOF", "127.0.0.1", primary.port)

    async def is_linked() -> bool:
        async with Redis(port=replica.port) as redis:
            return bool((await redis.info("replication"))["master_link_status"] == "up")

    await eventually(is_linked, within=10)


async def writes(store: RedisStore, fence: int) -> bool:
    try:
        return await store.offer(record(fence))
    except StoreUnavailable:
        return False


def test_every_reply_has_a_test() -> None:
    assert WRONG_SERVER.keys() == REPLIES.keys()


@pytest.mark.parametrize("word", [word for word, wrong in WRONG_SERVER.items() if wrong])
async def test_a_reply_of_a_wrong_server_ends_every_connection(
    word: str, relay: Relay, store: RedisStore, notebook: Notebook
) -> None:
    async with listening(store) as ear:
        await asyncio.gather(*(store.ping() for _ in range(5)))
        before = relay.opened
        relay.reply = REPLIES[word]
        with pytest.raises(StoreUnavailable, match=REPLIES[word].removeprefix("ERR ")[:30].replace("(", ".")):
            await store.offer(record(1))
        relay.reply = ""

        assert Notice(NoticeKind.CONNECTED) == await ear.next(within=SECONDS)
        await eventually(lambda: writes(store, 2))
        assert Notice(NoticeKind.COMMITTED, NAME, 2) == await ear.next()
        assert relay.open <= relay.opened - before
        assert ["lost", "back"] == notebook.told


@pytest.mark.parametrize("word", [word for word, wrong in WRONG_SERVER.items() if not wrong])
async def test_any_other_reply_ends_no_connection(
    word: str, relay: Relay, store: RedisStore, notebook: Notebook
) -> None:
    async with listening(store) as ear:
        await store.ping()
        before = relay.opened
        relay.reply = REPLIES[word]
        with pytest.raises(StoreUnavailable):
            await store.offer(record(1))
        relay.reply = ""
        assert await store.offer(record(2))

        assert Notice(NoticeKind.COMMITTED, NAME, 2) == await ear.next()
        assert before == relay.opened
        assert [] == notebook.told


async def test_while_the_address_leads_to_a_wrong_server_nobody_is_told_that_it_is_back(
    relay: Relay, store: RedisStore, notebook: Notebook
) -> None:
    async with listening(store) as ear:
        await store.ping()
        before = relay.opened
        relay.reply = REPLIES["READONLY"]
        for _ in range(30):
            assert not await writes(store, 1)
            await asyncio.sleep(0.1)

        assert ear.heard.empty()
        assert ["lost"] == notebook.told
        # Twice for each second, and one for each attempt to subscribe: not one for each call.
        assert relay.opened - before < 30
        relay.reply = ""
        assert Notice(NoticeKind.CONNECTED) == await ear.next(within=SECONDS)
        await eventually(lambda: writes(store, 2))


async def test_a_full_server_is_subscribed_to_all_the_same(relay: Relay, store: RedisStore) -> None:
    relay.reply = REPLIES["OOM"]
    async with listening(store):
        assert not await writes(store, 1)


async def test_a_failover_by_address_is_over_in_seconds(
    two_servers: tuple[RedisServer, RedisServer], patient_client: None
) -> None:
    one, two = two_servers
    await replicate(two, one)
    notebook = Notebook()
    async with relay_to(one.port) as relay, connect_redis(relay.url) as client:
        store = RedisStore(client, "test", SystemClock(), notebook)
        async with listening(store) as ear:
            await asyncio.gather(*(store.offer(record(1, name=f"name {n}")) for n in range(8)))
            assert [1] * 8 == [(await ear.next()).fence for _ in range(8)]
            await ask(two, "REPLICAOF", "NO", "ONE")
            await replicate(one, two)
            relay.target = two.port

            await eventually(lambda: writes(store, 2), within=SECONDS)
            while await ear.next(within=SECONDS) != Notice(NoticeKind.CONNECTED):
                pass  # the old primary passes on what the new one publishes
            assert await store.offer(record(3))
            heard = await ear.next()
            assert Notice(NoticeKind.COMMITTED, NAME, 3) == (heard if heard.fence == 3 else await ear.next())
            listeners = await eventually(
                lambda: ask(one, "CLIENT", "LIST", "TYPE", "pubsub"), lambda found: found == b""
            )
            assert not listeners
            assert ["lost", "back"] == notebook.told


def test_a_reply_to_a_command_in_a_script_is_found_in_the_words_of_older_servers() -> None:
    before_7 = (
        "Error running script (call to f_1): @user_script:1: @user_script: 1: "
        "-{} You can't write against a read only replica."
    )

    assert comes_from_wrong_server(ResponseError(before_7.format("READONLY"), status_code="ERR"))
    assert not comes_from_wrong_server(ResponseError(before_7.format("OOM"), status_code="ERR"))


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (ResponseError("OOM command not allowed"), "ResponseError: OOM command not allowed"),
        (RedisError("invalid password", status_code="WRONGPASS"), "WRONGPASS invalid password"),
        (TimeoutError(), "TimeoutError"),
        (OSError("two\nlines"), "OSError: two lines"),
        (
            ResponseError(
                "unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'broker' 's3cret' ",
                status_code="ERR",
            ),
            "ERR unknown command 'HELLO'",
        ),
    ],
)
def test_a_cause_is_in_the_servers_words_and_has_no_secret(error: Exception, cause: str) -> None:
    assert cause == cause_of(error)


async def test_who_is_refused_a_moment_later_hears_the_cause_too(
    own_redis: RedisServer, patient_client: None
) -> None:
    await ask(own_redis, "CONFIG", "SET", "requirepass", "another")
    async with connect_redis(own_redis.url) as client:
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match="NOAUTH"):
                await client.seconds()

"""Users and passwords under Sentinel and Cluster, and a password that changes while the broker runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from broker.adapters.redis.client import connect_redis
from broker.adapters.redis.event_log import RedisEventLog
from broker.adapters.redis.store import RedisStore
from broker.adapters.system import SystemClock
from broker.config.store_url import redis_address
from broker.domain.errors import StoreUnavailable
from broker.domain.ports.store import Notice, NoticeKind
from broker.domain.secret import Secret
from broker.domain.stores.redis_address import Login, Logins
from tests.contract.events import append
from tests.contract.making import record
from tests.contract.observer import Notebook
from tests.contract.redis.test_access import LEAST, PASSWORD, use_everything
from tests.contract.waiting import eventually, listening
from tests.kit.processes.redis_server import RedisServer
from tests.kit.processes.redis_sets import ClusterSet, SentinelSet, ask

RIGHTS = LEAST.replace("~wecom-broker:*", "~access:*").replace("&wecom-broker:", "&access:").split()
OF_THE_LOG = ["+exists", "+xadd", "+xtrim"]
OF_A_CLUSTER = ["+cluster|slots", "+command"]
OF_WAITING = ["+wait"]
AT_SENTINELS = ["-@all", "+hello", "+auth", "+sentinel|masters"]
BROKER = Login("broker", Secret(PASSWORD))
ASKER = Login("asker", Secret("of the sentinels"))


@pytest.fixture(autouse=True)
def _patient(patient_client: None) -> None:
    """A busy machine is no outage."""


def add_user(port: int, login: Login, *rights: str) -> None:
    ask(port, "ACL SETUSER", login.user, "reset", "on", f">{login.password.reveal()}", *rights)


@asynccontextmanager
async def logged_in(
    url: str, servers: Login, sentinels: Login
) -> AsyncIterator[tuple[RedisStore, RedisEventLog]]:
    notebook = Notebook()
    async with connect_redis(redis_address(Secret(url)), Logins(servers, sentinels), notebook) as client:
        yield (
            RedisStore(client, "access", SystemClock(), notebook, replicas_acknowledge=1),
            RedisEventLog(client, "access", notebook, replicas_acknowledge=1),
        )


def users_at(port: int) -> set[str]:
    lines = ask(port, "CLIENT LIST")
    return {line["user"] for line in lines}


@pytest.mark.parametrize("asker", [ASKER, BROKER], ids=["a user of their own", "no user"])
async def test_sentinels_and_servers_have_users_of_their_own(
    sentinel_server: SentinelSet, asker: Login
) -> None:
    for server in sentinel_server.servers:
        add_user(server.port, BROKER, *RIGHTS, *OF_THE_LOG, *OF_WAITING)
    for port in sentinel_server.ports:
        add_user(port, ASKER, *AT_SENTINELS)
    ask(sentinel_server.primary().port, "FLUSHALL")
    async with logged_in(sentinel_server.url, BROKER, asker) as (store, log):
        await use_everything(store)
        await append(log)
        assert "broker" in users_at(sentinel_server.primary().port)
        asked = [users_at(port) for port in sentinel_server.ports]
        assert (asker == ASKER) == any("asker" in users for users in asked)


async def test_members_of_a_cluster_have_users(cluster_server: ClusterSet) -> None:
    for server in cluster_server.servers:
        add_user(server.port, BROKER, *RIGHTS, *OF_THE_LOG, *OF_WAITING, *OF_A_CLUSTER)
    async with logged_in(cluster_server.url, BROKER, BROKER) as (store, log):
        await use_everything(store)
        await append(log)
        assert all("broker" in users_at(server.port) for server in cluster_server.servers[:1])


@pytest.mark.parametrize("kind", ["sentinel", "cluster"])
async def test_a_wrong_password_is_told_without_it(kind: str, request: pytest.FixtureRequest) -> None:
    servers = request.getfixturevalue(f"{kind}_server")
    wrong = Login("nobody", Secret("s3cret-and-wrong"))
    async with logged_in(servers.url, wrong, Login()) as (store, _):
        with pytest.raises(StoreUnavailable, match=r"WRONGPASS|invalid username-password") as refusal:
            await store.ping()

    assert "s3cret" not in f"{refusal.value} {refusal.value.metadata}"


async def test_new_connections_log_in_with_the_password_of_the_moment(own_redis: RedisServer) -> None:
    old, new = Login("broker", Secret("old")), Login("broker", Secret("new one"))
    add_user(own_redis.port, old, *RIGHTS)
    logins = Logins(old, old)
    notebook = Notebook()
    async with connect_redis(redis_address(Secret(own_redis.url)), logins, notebook) as client:
        store = RedisStore(client, "access", SystemClock(), notebook)
        async with listening(store) as ear:
            assert await store.offer(record(1))
            assert Notice(NoticeKind.COMMITTED, record(1).name, 1) == await ear.next()
            add_user(own_redis.port, new, *RIGHTS)
            ask(own_redis.port, "CLIENT KILL", "USER", "broker")
            await eventually(lambda: is_refused(store), within=5)
            logins.replace(new, new)

            assert Notice(NoticeKind.CONNECTED) == await ear.next(within=5)
            await eventually(lambda: writes(store), within=5)
            assert ["lost", "back"] == notebook.told


async def is_refused(store: RedisStore) -> bool:
    try:
        await store.ping()
    except StoreUnavailable as error:
        return "WRONGPASS" in error.message or "invalid username-password" in error.message
    await asyncio.sleep(0.05)
    return False


async def writes(store: RedisStore) -> bool:
    try:
        return await store.offer(record(2))
    except StoreUnavailable:
        return False

"""In a Redis Cluster all keys of a script must hash to one slot: computed for each script that there is."""

from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from redis.crc import key_slot

from broker.adapters.redis.at_rest import RedisAtRest
from broker.adapters.redis.client import RedisClient
from broker.adapters.redis.event_log import RedisEventLog
from broker.adapters.redis.servers.at import servers_at
from broker.adapters.redis.store import RedisStore
from broker.adapters.system import SystemClock
from broker.config.store_url import login_in, redis_address
from broker.domain.secret import Secret
from broker.domain.stores.redis_address import Logins
from tests.contract.events import ANA, APP, BEN, GROUP, KEEP, append, positions
from tests.contract.making import FAR, LONG, record, taken
from tests.contract.observer import Notebook
from tests.kit.processes.redis_server import RedisServer

NAMES = [
    "access_token:crm:own:ww1:1000002",
    "authorization:market:wp{odd}name",
    "session:} and {",
    "quota {{}}",
]


class RecordingClient(RedisClient):
    """Keep the keys of each run of a script."""

    def __init__(self, url: str) -> None:
        login = login_in(Secret(url))
        super().__init__(servers_at(redis_address(Secret(url)), Logins(login, login)))
        self.runs: defaultdict[str, list[list[str]]] = defaultdict(list)

    def script(self, text: str) -> Callable[..., Awaitable[Any]]:
        """Return the script as a function that notes its keys."""
        run = super().script(text)
        self.runs[text]

        async def noted(keys: list[str], arguments: list[Any]) -> Any:
            self.runs[text].append(keys)
            return await run(keys, arguments)

        return noted


async def use_store(store: RedisStore, name: str) -> None:
    lease = await taken(store, name)
    await store.renew(lease)
    await store.commit(record(lease.fence, name=name), lease)
    await store.offer(record(lease.fence + 1, name=name))
    await store.supplant(record(lease.fence + 2, b"new", name), b"payload")
    await store.replace(record(lease.fence + 2, b"newer", name))
    await store.load([name])
    await store.forget(name, lease.fence + 3)
    await store.release(await taken(store, name))
    await store.count(name, LONG)
    await store.enlist(name, "member", FAR)


async def use_log(log: RedisEventLog) -> None:
    await log.open_group(APP, GROUP, most=9)
    for number in range(4):
        await append(log, payload=b"a%d" % number)
    found = positions(await log.claim(replace(ANA, max_attempts=1)))
    await log.acknowledge(APP, GROUP, found[:1])
    await log.give_up(APP, GROUP, found[1:2])
    await log.release(APP, GROUP, "ana")
    await log.claim(BEN)
    await log.dead(APP, GROUP, "", 9)
    await log.retry(APP, GROUP, found[1:2])
    await log.lags(APP)
    await log.rewind(APP, GROUP, found[0])
    await log.trim(APP, KEEP)
    await log.forget_groups(APP, timedelta(days=1))
    await log.delete_group(APP, GROUP)


@pytest.mark.usefixtures("patient_client")
async def test_every_script_gets_keys_of_one_slot(redis_server: RedisServer) -> None:
    client = RecordingClient(redis_server.url)
    try:
        prefix = "test-slots"
        at_rest = RedisAtRest(client, prefix)
        for name in NAMES:
            await use_store(RedisStore(client, prefix, SystemClock(), Notebook()), name)
            await at_rest.exchange(name, b"", b"")
        await use_log(RedisEventLog(client, prefix))
        await append(RedisEventLog(client, prefix))
        await at_rest.exchange_events(APP, lambda _, payload: payload)
    finally:
        await client.aclose()

    assert [] == [text for text, runs in client.runs.items() if not runs]
    assert [] == [keys for runs in client.runs.values() for keys in runs if len(slots(keys)) != 1]


def slots(keys: list[str]) -> set[int]:
    return {key_slot(key.encode()) for key in keys}

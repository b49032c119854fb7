"""Incidents of the store: it is away, has another password, takes no writes, or is sealed with a new key."""

import resource
from contextlib import suppress
from pathlib import Path
from typing import Any

from grpc.aio import AioRpcError
from redis import Redis

from tests.incidents.ground import Ground, Told, ground
from tests.kit.processes.fleet import SEAL_KEY, until
from tests.kit.processes.redis_server import RedisServer

CHILD = "ww1child000000001"
PAGE = 4096
NEW_PASSWORD = "a-new-password-of-redis"
K2 = {"id": "k2", "key": "YW5vdGhlciBrZXkgb2YgZXhhY3RseSAzMiBieXRlcyE="}
K1 = {"id": "k1", "key": SEAL_KEY}


async def _until_back(here: Ground) -> None:
    """Return once the store answers again, and what was in memory still is served."""

    async def is_back() -> bool:
        return not [found for found in await here.doctor() if found["subject"] == "store"]

    await until(is_back, pause=0.3)
    assert (await here.crm.token()).value
    assert (await here.crm.token(CHILD)).value
    here.worked()


async def redis_killed(folder: Path, told: Told) -> None:
    with RedisServer(folder / "redis") as server:
        async with ground(folder, told, store_url=server.url) as here:
            await here.crm.token()
            server.kill()
            remedy = await here.named("FAIL", "store", "Redis is not available", "WecomBrokerStoreAway")
            assert "bring the store back; do NOT restart brokers" in remedy
            server.start()
            await _until_back(here)


async def redis_password_changed(folder: Path, told: Told) -> None:
    with RedisServer(folder / "redis") as server:
        async with ground(folder, told, store_url=server.url) as here:
            await here.crm.token()
            with Redis(port=server.port) as client:
                client.config_set("requirepass", NEW_PASSWORD)
                with suppress(Exception):
                    client.client_kill_filter(_type="normal", skipme=True)
                with suppress(Exception):
                    client.client_kill_filter(_type="pubsub", skipme=True)
            remedy = await here.named("FAIL", "store", "NOAUTH", "WecomBrokerStoreAway")
            assert "store.password; a reload takes it" in remedy
            await here.reload(lambda config: config["store"].update(password=NEW_PASSWORD))
            await _until_back(here)


async def redis_full(folder: Path, told: Told) -> None:
    with RedisServer(folder / "redis") as server, Redis(port=server.port) as client:
        async with ground(folder, told, store_url=server.url) as here:
            await here.crm.token()
            client.config_set("maxmemory", 1)
            with suppress(AioRpcError):
                await here.crm.token(CHILD)
            remedy = await here.named("FAIL", "store", "OOM", "WecomBrokerStoreAway")
            assert "raise its maxmemory" in remedy
            client.config_set("maxmemory", 0)
            await _until_back(here)


async def disk_full(folder: Path, told: Told) -> None:
    def quiet(config: dict[str, Any]) -> None:
        config["log"] = {"level": "error"}

    async with ground(folder, told, quiet) as here:
        await here.crm.token()
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        # As on a full disk no file may grow; what is written in place still is.
        resource.setrlimit(resource.RLIMIT_FSIZE, (PAGE, hard))
        try:
            with suppress(AioRpcError):
                await here.crm.token(CHILD)
            found: list[dict[str, str]] = []

            async def is_seen() -> bool:
                found[:] = [each for each in await here.doctor() if each["subject"] == "store"]
                return bool(found)

            await until(is_seen, within=20)
            shown = here.metrics()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        [line] = found
        told.line = f"{line['level']} store: {line['problem']}"
        told.remedy = line["remedy"]
        assert "free space on the disk" in told.remedy
        await here.alerted("WecomBrokerStoreAway", shown)
        await _until_back(here)


def _seal_with(*keys: dict[str, str]) -> Any:
    return lambda config: config["store"].update(seal_keys=list(keys))


async def seal_key_left_out(folder: Path, told: Told) -> None:
    with RedisServer(folder / "redis") as server:
        url = server.url
        (folder / "other").mkdir()
        async with (
            ground(folder / "other", Told(), _seal_with(K2, K1), store_url=url) as other,
            ground(folder, told, _seal_with(K1), store_url=url, world=other.world) as here,
        ):
            assert (await other.crm.token()).value
            with suppress(AioRpcError):
                await here.crm.token(timeout=5)
            remedy = await here.named("FAIL", "seal keys", "lacks k2", "WecomBrokerSealKeyMissing")
            assert "add the key to store.seal_keys there, then reload" in remedy
            await here.reload(_seal_with(K2, K1))
            assert (await here.crm.token()).value
            here.worked()

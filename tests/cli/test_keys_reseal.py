"""`keys reseal`: what it prints, its exit codes, and the rights that its Redis user needs."""

import asyncio
import base64
import json
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from broker.adapters.redis.event_log import RedisEventLog
from broker.adapters.redis.store import RedisStore
from broker.adapters.sqlite.store import open_sqlite
from broker.adapters.storage.seal import Seal, SealKey
from broker.adapters.storage.sealed_event_log import SealedEventLog
from broker.adapters.system import SystemClock
from broker.app.at_rest.seal_check import check_seal
from broker.cli.keys import reseal
from broker.domain.ports.store import Record
from tests.contract.event_fleets import ENTRIES
from tests.contract.events import appended
from tests.contract.making import FAR
from tests.contract.observer import Notebook
from tests.contract.redis import test_access as access
from tests.contract.sealed import SealedStore
from tests.deploy.files import ROOT
from tests.kit.processes.broker_process import to_toml
from tests.kit.processes.redis_server import RedisServer
from tests.kit.redis_at import connect_redis

OLD, NEW = SealKey("k1", bytes(32)), SealKey("k2", bytes([2] * 32))
APP = {"name": "crm", "corp_id": "ww0parent000000001", "agent_id": 1, "secret": "secret-of-crm"}


def written(folder: Path, url: str, prefix: str, *keys: SealKey) -> Path:
    named = [{"id": key.id, "key": base64.b64encode(key.key).decode()} for key in keys]
    config: dict[str, Any] = {"store": {"url": url, "prefix": prefix, "seal_keys": named}, "apps": [APP]}
    path = folder / "broker.toml"
    path.write_text(to_toml(config))
    return path


async def fill(url: str, prefix: str, *keys: SealKey) -> None:
    async with connect_redis(url) as client:
        store = RedisStore(client, prefix, SystemClock(), Notebook())
        await check_seal(store, keys)
        await SealedStore(store, Seal(keys), Notebook()).offer(Record("session:1", 1, b"payload", FAR))
        log = SealedEventLog(RedisEventLog(client, prefix), Seal(keys), ENTRIES, Notebook())
        await appended(log, "a1 a2")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(reseal, ["--config", *map(str, arguments)])


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def prefix() -> str:
    return f"test-{secrets.token_hex(4)}"


def test_it_counts_by_kind_and_says_which_key_may_go(
    tmp_path: Path, redis_server: RedisServer, prefix: str
) -> None:
    asyncio.run(fill(redis_server.url, prefix, OLD))
    path = written(tmp_path, redis_server.url, prefix, NEW, OLD)
    said = run(path)

    assert 0 == said.exit_code, said.output
    assert [
        "events: 2 resealed",
        "seal-check: 1 resealed",
        "session: 1 resealed",
    ] == said.stdout.splitlines()[:3]
    assert "all is sealed with k2; k1 may be removed from store.seal_keys" == said.stdout.splitlines()[-1]
    last = json.loads(run(path, "--json").stdout.splitlines()[-1])
    assert last["done"] is last["complete"] is True
    assert {"resealed": 0, "current": 2, "changed": 0, "unknown": 0, "broken": 0} == last["kinds"]["events"]
    assert 0 == run(written(tmp_path, redis_server.url, prefix, NEW)).exit_code


def test_a_key_that_is_still_needed_is_named(tmp_path: Path, redis_server: RedisServer, prefix: str) -> None:
    asyncio.run(fill(redis_server.url, prefix, OLD))
    asyncio.run(fill(redis_server.url, prefix, OLD, NEW))
    said = run(written(tmp_path, redis_server.url, prefix, NEW))

    assert 1 == said.exit_code
    assert "k1 sealed some of it and is not configured" in said.stderr


def test_the_embedded_store_is_not_touched_while_a_broker_uses_it(tmp_path: Path) -> None:
    path = written(tmp_path, f"sqlite:///{tmp_path}/broker.db", "p", NEW)
    assert "does not exist" in run(path).stderr
    asyncio.run(in_use(tmp_path, path))


async def in_use(tmp_path: Path, path: Path) -> None:
    async with open_sqlite(tmp_path / "broker.db", SystemClock()):
        said = await asyncio.to_thread(run, path)
    assert 1 == said.exit_code
    assert "stop the broker first" in said.stderr


def test_the_rights_that_docs_give_suffice(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    least = re.search(r"`(~wecom-broker:\*[^`]+)`", text)
    more = re.search(r"`(\+scan[^`]+)`", text)
    assert least
    assert more
    user = f"user broker on >{access.PASSWORD} {least[1]} {more[1]}"
    with access.redis_with(tmp_path / "redis", user) as server:
        asyncio.run(fill(access.url(server), "wecom-broker", OLD))
        said = run(written(tmp_path, access.url(server), "wecom-broker", NEW, OLD))

    assert 0 == said.exit_code, said.output
    assert "events: 2 resealed" in said.stdout

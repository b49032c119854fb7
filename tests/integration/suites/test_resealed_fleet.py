"""`keys reseal` over all that a broker keeps of three kinds of apps: nothing needs the old key after it."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from wecom_broker import AccessToken, Broker, Session

from broker.app.running_broker import running_broker
from broker.cli import main
from broker.config.load import parse_config
from broker.simulator.server import running_simulator
from tests.integration.suites.one_client import CHECKED, PAGE, SAID
from tests.integration.suites.three_kinds import (
    ACME,
    CASES,
    CRM,
    MARKET,
    TAILORED,
    Kinds,
    Simulated,
    call_back,
    installed,
    tables,
    three_kinds_world,
)
from tests.kit.processes.broker_process import to_toml
from tests.kit.processes.fleet import SEAL_KEY
from tests.kit.processes.redis_server import RedisServer

OLD = {"id": "k1", "key": SEAL_KEY}
NEW = {"id": "k2", "key": base64.b64encode(bytes([2] * 32)).decode()}
ALL = {
    "access_token",
    "suite_token",
    "provider_token",
    "corp_ticket",
    "agent_ticket",
    "suite_ticket",
    "authorization",
    "installation",
    "shares",
    "session",
    "events",
}
"""What is kept for long, by the first word of its name; a permanent code is in its authorisation."""


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "redis") as server:
        yield server


@asynccontextmanager
async def served(kinds: Kinds, config: dict[str, Any]) -> AsyncIterator[Broker]:
    """Run a broker of this configuration inside the block, with a client."""
    async with running_broker(parse_config(config)) as broker:
        call_back(kinds.world, f"http://127.0.0.1:{broker.http_port}/callback")
        async with Broker(broker.grpc_addresses[0]) as client:
            yield client


async def tokens_of(client: Broker, kinds: Kinds) -> dict[str, AccessToken]:
    """Return the token of each corp, and those of the suites and of their provider."""
    places = [(name, case.app, case.place(kinds).corp) for name, case in CASES.items()]
    places += [(owner, owner, "") for owner in (MARKET, TAILORED, ACME)]
    return {name: await client.access_token(app, corp) for name, app, corp in places}


async def entered(client: Broker, app: str, most: int) -> set[str]:
    """Return of which corps there are events that a new group gets."""
    found: set[str] = set()
    async with client.events("late", apps=[app], event_types=[CHECKED]) as events:
        async for event in events:
            found.add(event.corp_id)
            if len(found) == most:
                return found
    raise AssertionError("the stream ended")


async def reseal(folder: Path, config: dict[str, Any]) -> list[dict[str, Any]]:
    """Run `keys reseal --json`, and return what it reports."""
    path = folder / "broker.toml"
    path.write_text(to_toml(config))
    command = ["keys", "reseal", "--json", "--config", str(path)]
    told = await asyncio.to_thread(CliRunner().invoke, main, command)
    assert 0 == told.exit_code, told.output
    return [json.loads(line) for line in told.stdout.splitlines()]


async def test_all_that_is_kept_opens_with_the_new_key_alone(tmp_path: Path, redis: RedisServer) -> None:
    world = three_kinds_world()
    async with running_simulator(world) as url:

        def config(*keys: dict[str, str]) -> dict[str, Any]:
            return tables(url, redis.url, store={"seal_keys": list(keys)})

        kinds = Kinds(world, url, "")
        outside = {name: Simulated(kinds, case) for name, case in CASES.items()}
        sessions: list[tuple[Session, tuple[str, str]]] = []
        async with served(kinds, config(OLD)) as client:
            for suite in (MARKET, TAILORED):
                world.console.tickets.push(suite)
            await world.callbacks.outbox.settled()
            await installed(kinds, client)
            tokens = await tokens_of(client, kinds)
            for name, case in CASES.items():
                place = case.place(kinds)
                await client.sign_page(place.app, PAGE, place.corp)
                code = outside[name].open_mini_program()
                session = await client.mini_program_login(place.app, code, corp=place.login_corp)
                sessions.append((session, outside[name].encrypt(SAID)))
                await outside[name].enter()

        steps = await reseal(tmp_path, config(NEW, OLD))
        last = steps[-1]
        assert (True, True, {}) == (last["done"], last["complete"], last["missing_keys"])
        assert len(steps) > 1, "it tells how far it is"
        resealed = {kind for kind, counts in last["kinds"].items() if counts["resealed"]}
        assert ALL <= resealed
        assert [] == [kind for kind, counts in last["kinds"].items() if counts["unknown"] or counts["broken"]]

        asked = world.log.calls()
        async with served(kinds, config(NEW)) as client:
            assert tokens == await tokens_of(client, kinds)
            for case in CASES.values():
                place = case.place(kinds)
                assert (await client.sign_page(place.app, PAGE, place.corp)).config.signature
            for session, data in sessions:
                assert SAID.items() <= json.loads(await client.decrypt_data(session, *data)).items()
            for app in (CRM, MARKET, TAILORED):
                expected = {case.place(kinds).corp for case in CASES.values() if case.app == app}
                assert expected == await entered(client, app, len(expected))
        assert asked == world.log.calls(), "nothing was lost that WeCom had to be asked for again"

"""Two replicas are reloaded one after the other while callers of both are served."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from click.testing import CliRunner, Result

from broker.cli import main
from tests.integration.conftest import Figures, StartFleet
from tests.integration.events.subscribing import (
    CALLBACK,
    Stream,
    Wecom,
    calling_back,
    connected,
    text,
)
from tests.integration.lifecycle.reloading import reload
from tests.kit.processes.fleet import (
    APP,
    CHILD_TOKEN,
    GETTOKEN,
    SEAL_KEY,
    Fleet,
    Replica,
    child,
    configuration,
    refused,
    until,
)
from tests.kit.processes.load import Load, steady_load

pytestmark = pytest.mark.slow

CORPS = ["", child(1), child(2)]
KEYS = {
    "k1": SEAL_KEY,
    "k2": base64.b64encode(bytes([2] * 32)).decode(),
    "k3": base64.b64encode(bytes([3] * 32)).decode(),
}


def config_of(fleet: Fleet, *apps: str, keys: tuple[str, ...] = ("k1",)) -> dict[str, Any]:
    seal_keys = [{"id": name, "key": KEYS[name]} for name in keys]
    return configuration(
        fleet.wecom.url,
        fleet.redis.url,
        apps or (APP,),
        {"callback": CALLBACK},
        store={"seal_keys": seal_keys},
    )


async def agree(replicas: list[Replica]) -> bool:
    first, second = [await replica.generations() for replica in replicas]
    return first == second and len(first) >= len(CORPS)


@asynccontextmanager
async def warm_load(fleet: Fleet, replicas: list[Replica]) -> AsyncIterator[Load]:
    """Call both replicas for what is in memory, inside the block; WeCom has been asked for nothing since."""
    for replica in replicas:
        for corp_id in CORPS:
            await replica.token(corp_id)
    fleet.wecom.forget_calls()
    async with steady_load(replicas, CORPS, pause=0.02) as load:
        await until(lambda: load.calls > 20)
        yield load


async def some_more(load: Load) -> None:
    """Return when more calls have been answered."""
    before = load.calls
    await until(lambda: load.calls > before + 50)


async def test_an_app_is_added_and_removed_on_one_replica_after_the_other(
    start_fleet: StartFleet, figures: Figures
) -> None:
    fleet = start_fleet(2, children=3, patient=True)
    without, with_added = config_of(fleet), config_of(fleet, APP, "added")
    # One app's callback keys are no other's.
    del with_added["apps"][1]["callback"]
    async with fleet.replicas() as replicas, warm_load(fleet, replicas) as load:
        first, second = (replica.of("added") for replica in replicas)
        await reload(fleet.brokers[0], with_added)
        token = await first.token()
        assert "UNKNOWN_APP" == (await refused(second.token())).reason
        await reload(fleet.brokers[1], with_added)
        assert token == await second.token(), "the replica that learnt of it later fetches nothing"

        await reload(fleet.brokers[0], without)
        assert "UNKNOWN_APP" == (await refused(first.token())).reason
        assert token == await second.token(), "the other replica goes on with it"
        await reload(fleet.brokers[1], without)
        assert "UNKNOWN_APP" == (await refused(second.token())).reason
        await some_more(load)
    assert [] == load.refusals
    assert {GETTOKEN: 1} == fleet.wecom.calls()
    figures(calls=load.calls, failed=0, slowest_seconds=load.longest)


class Rotation:
    """Seal keys that change on two replicas, and events that go through either."""

    def __init__(self, fleet: Fleet, replicas: list[Replica], stack: AsyncExitStack) -> None:
        self._fleet = fleet
        self._replicas = replicas
        self._stack = stack
        self.said: list[str] = []
        self.forced = 0
        self.streams: list[Stream] = []
        self._wecom: list[Wecom] = []

    async def open(self) -> None:
        """Subscribe on each replica, with a group of its own, and call each back."""
        for broker in self._fleet.brokers:
            self._wecom.append(await self._stack.enter_async_context(calling_back(broker.http_port)))
            self.streams.append(await self.join(broker.address, f"group-{len(self.streams)}"))

    async def join(self, address: str, group: str) -> Stream:
        service = await self._stack.enter_async_context(connected(address))
        return await service.joins(group)

    async def give(self, replica: int, *keys: str) -> None:
        """Have a replica know these keys, and no others; the first one seals."""
        await reload(self._fleet.brokers[replica], config_of(self._fleet, keys=keys))

    async def renew(self, replica: int) -> None:
        """Have a replica seal new tokens, of the parent and of a child."""
        for corp_id in CORPS[:2]:
            await self._replicas[replica].refresh(corp_id)
        self.forced += 1

    async def receive(self, replica: int) -> str:
        """Have a replica seal an event; return its word."""
        word = f"event-{len(self.said)}"
        await self._wecom[replica].sends(text(child(1), word))
        self.said.append(word)
        return word

    async def all_came(self, *streams: Stream) -> None:
        """Return when each stream has had every event."""
        for stream in streams:
            await until(lambda stream=stream: set(self.said) <= set(stream.words.split()))  # type: ignore[misc]


async def reseal(fleet: Fleet) -> Result:
    path = str(fleet.brokers[0].config_file)
    return await asyncio.to_thread(CliRunner().invoke, main, ["keys", "reseal", "--config", path])


async def test_seal_keys_rotate_in_either_order(start_fleet: StartFleet, figures: Figures) -> None:
    """Each key comes first to one replica, which seals with it while the other does not know it."""
    fleet = start_fleet(2, children=3, patient=True, app={"callback": CALLBACK})
    async with AsyncExitStack() as stack:
        replicas = await stack.enter_async_context(fleet.replicas())
        rotation = Rotation(fleet, replicas, stack)
        await rotation.open()
        load = await stack.enter_async_context(warm_load(fleet, replicas))
        for ahead, behind, keys in ((0, 1, ("k2", "k1")), (1, 0, ("k3", "k2", "k1"))):
            await rotation.give(ahead, *keys)
            await rotation.renew(ahead)
            unknown, known = await rotation.receive(ahead), await rotation.receive(behind)
            await rotation.all_came(rotation.streams[ahead])
            await some_more(load)
            words = rotation.streams[behind].words.split()
            assert (True, False) == (known in words, unknown in words), "the others flow"
            assert not await agree(replicas), "the one without the key serves what it has"

            await rotation.give(behind, *keys)
            await rotation.all_came(*rotation.streams)
            await until(lambda: agree(replicas))
            await rotation.renew(behind)
            await until(lambda: agree(replicas))

        told = await reseal(fleet)
        assert 0 == told.exit_code, told.output
        assert "all is sealed with k3; k2, k1 may be removed from store.seal_keys" in told.stdout
        for replica in (0, 1):
            await rotation.give(replica, "k3")
            await rotation.renew(replica)
            await rotation.receive(replica)
        late = await rotation.join(fleet.brokers[1].address, "late")
        await rotation.all_came(late, *rotation.streams)
        await until(lambda: agree(replicas))
        calls = fleet.wecom.calls()
        assert {GETTOKEN: rotation.forced, CHILD_TOKEN: rotation.forced} == calls, "no other fetch"
        generations = await replicas[0].generations()
    assert [] == load.refusals
    assert [] == load.expired

    # What is in the store opens with the last key alone.
    fleet.brokers[0].kill()
    fleet.brokers[0].start()
    async with fleet.replicas() as replicas:
        for corp_id in CORPS:
            await replicas[0].token(corp_id)
        assert generations == await replicas[0].generations()
    assert calls == fleet.wecom.calls()
    figures(calls=load.calls, failed=0, events=len(rotation.said), lost=0, slowest_seconds=load.longest)

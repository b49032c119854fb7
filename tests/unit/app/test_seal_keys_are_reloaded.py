"""New seal keys at a reload: used once the store proves them, or the whole configuration is refused."""

import base64
from functools import partial
from typing import Any

import pytest

from broker.adapters.storage.seal import Seal, SealBroken, SealKey
from broker.adapters.system import SystemClock
from broker.app.at_rest.seal_keys import SealKeys
from broker.app.reloading.reload import ConfigReload
from broker.config.load import parse_config
from broker.config.schema import Config
from broker.domain.replica.health import ReloadOutcome
from broker.telemetry.observer import Telemetry
from tests.kit.memory.fake_clock import FakeClock
from tests.kit.memory.memory_store import MemoryStore, Shared

OLD, NEW = bytes(32), bytes([2] * 32)


def config(*keys: tuple[str, bytes]) -> Config:
    seal_keys: list[dict[str, Any]] = [
        {"id": name, "key": base64.b64encode(key).decode()} for name, key in keys
    ]
    app = {"name": "crm", "corp_id": "ww0123456789abcdef", "secret": "s3cret"}
    return parse_config({"apps": [app], "store": {"url": "redis://127.0.0.1/0", "seal_keys": seal_keys}})


class World:
    """A running broker's seal, and a configuration that changes."""

    def __init__(self) -> None:
        self.store = MemoryStore(Shared(SystemClock()))
        self.seal = Seal([SealKey("k1", OLD)])
        self.file = config(("k1", OLD))
        self.applied: list[Config] = []
        self.telemetry = Telemetry(FakeClock())
        self.looks = 0
        self.keys = SealKeys(self.store, self.seal)
        self.keys.on_change(self.look)
        self.reload = ConfigReload(
            self.file,
            lambda: self.file,
            None,
            self.keys,
            prepared_by=[lambda new: partial(self.applied.append, new)],
            telemetry=self.telemetry,
            clock=FakeClock(),
        )

    def look(self) -> None:
        self.looks += 1

    def opens(self, name: str, key: bytes) -> bool:
        """Return whether the broker opens what another one seals with that key."""
        try:
            return self.seal.open("record", Seal([SealKey(name, key)]).close("record", b"value")) == b"value"
        except SealBroken:
            return False


@pytest.fixture
async def world() -> World:
    world = World()
    await SealKeys(world.store, world.seal).check(world.file)
    return world


async def test_a_new_key_is_used_from_the_reload_on(world: World) -> None:
    assert not world.opens("k2", NEW)
    world.file = config(("k1", OLD), ("k2", NEW))

    assert ReloadOutcome.APPLIED is await world.reload.reload()
    assert world.opens("k1", OLD)
    assert world.opens("k2", NEW)
    world.file = config(("k2", NEW))
    assert ReloadOutcome.APPLIED is await world.reload.reload()
    assert not world.opens("k1", OLD)
    assert world.telemetry.replica_health.config.restart_needed == ()


async def test_other_bytes_under_a_known_id_refuse_the_whole_configuration(world: World) -> None:
    world.file = config(("k1", NEW))

    assert ReloadOutcome.REFUSED is await world.reload.reload()
    (problem,) = world.telemetry.replica_health.config.problems
    assert problem.startswith("store.seal_keys: ")
    assert [] == world.applied
    assert world.opens("k1", OLD)


async def test_new_keys_wait_for_a_store_that_is_away_and_other_changes_do_not(world: World) -> None:
    world.store.cut()
    world.file = config(("k1", OLD), ("k2", NEW))
    assert ReloadOutcome.REFUSED is await world.reload.reload()
    (problem,) = world.telemetry.replica_health.config.problems
    assert problem.startswith("store.seal_keys: cannot be compared with the fleet's: ")

    world.file = config(("k1", OLD))
    assert ReloadOutcome.APPLIED is await world.reload.reload()
    assert [world.file] == world.applied


async def test_what_lacked_a_key_is_looked_at_again_once_the_key_is_here(world: World) -> None:
    await world.reload.reload()
    assert 0 == world.looks, "the keys are the same"
    world.file = config(("k1", NEW))
    await world.reload.reload()
    assert 0 == world.looks, "the keys are refused"
    world.file = config(("k1", OLD), ("k2", NEW))
    await world.reload.reload()

    assert 1 == world.looks

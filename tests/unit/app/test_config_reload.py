"""Reloads: one at a time, the newest wins, all or nothing."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from functools import partial

import pytest

from broker.app.reloading.reload import ConfigReload, Prepare
from broker.app.reloading.settings import LiveSettings
from broker.config.load import ConfigError, parse_config
from broker.config.schema import Config
from broker.domain.replica.health import ReloadOutcome
from broker.server.http.server import CannotListen
from broker.telemetry.observer import Telemetry
from tests.kit.memory.fake_clock import FakeClock

APP = {"name": "crm", "corp_id": "ww0123456789abcdef", "secret": "s3cret"}


def config(name: str = "crm") -> Config:
    return parse_config({"apps": [{**APP, "name": name}]})


def names(configs: list[Config]) -> list[str]:
    return [found.apps[0].name for found in configs]


class World:
    def __init__(
        self,
        read: Callable[[], Config],
        read_certificates: Callable[[], None] | None = None,
        prepares: Sequence[Prepare] = (),
    ) -> None:
        self.clock = FakeClock()
        self.telemetry = Telemetry(self.clock)
        self.applied: list[Config] = []
        self.reload = ConfigReload(
            config(),
            read,
            read_certificates,
            prepared_by=[lambda new: partial(self.applied.append, new), *prepares],
            telemetry=self.telemetry,
            clock=self.clock,
        )

    def counted(self) -> list[float]:
        """Return how many reloads were refused, and how many applied."""
        value = self.telemetry.metrics.registry.get_sample_value
        return [
            value("wecom_broker_config_reloads_total", {"outcome": outcome}) or 0
            for outcome in (ReloadOutcome.REFUSED, ReloadOutcome.APPLIED)
        ]


async def test_who_asks_while_a_file_is_read_gets_another_reload_that_they_share():
    reading, may_end = threading.Event(), threading.Event()
    contents = iter(("first", "second", "third"))

    def read() -> Config:
        reading.set()
        may_end.wait(10)
        return config(next(contents))

    world = World(read)
    first = asyncio.create_task(world.reload.reload())
    await asyncio.to_thread(reading.wait, 10)
    others = [asyncio.create_task(world.reload.reload()) for _ in range(100)]
    await asyncio.sleep(0)
    may_end.set()

    assert {ReloadOutcome.APPLIED} == set(await asyncio.gather(first, *others))
    assert ["first", "second"] == names(world.applied)


async def test_a_file_with_mistakes_changes_nothing_and_the_status_says_why():
    def read() -> Config:
        raise ConfigError(["apps[0].secret: is empty", "typo: unknown key"])

    world = World(read)
    loaded_at = world.telemetry.replica_health.config.loaded_at

    assert ReloadOutcome.REFUSED is await world.reload.reload()
    assert [] == world.applied
    status = world.telemetry.replica_health.config
    assert loaded_at == status.loaded_at
    assert ("apps[0].secret: is empty", "typo: unknown key") == status.problems


async def test_certificates_that_cannot_be_used_refuse_the_whole_configuration():
    def read_certificates() -> None:
        raise CannotListen("server.tls: certificate and private_key are no pair")

    world = World(lambda: config("new"), read_certificates)

    assert ReloadOutcome.REFUSED is await world.reload.reload()
    assert [] == world.applied
    status = world.telemetry.replica_health.config
    assert ("server.tls: certificate and private_key are no pair",) == status.problems


async def test_whoever_gives_up_waiting_ends_no_reload():
    may_end = threading.Event()

    def read() -> Config:
        may_end.wait(10)
        return config("late")

    world = World(read)
    impatient, patient = (asyncio.create_task(world.reload.reload()) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()
    may_end.set()

    assert ReloadOutcome.APPLIED is await patient
    assert ["late"] == names(world.applied)


def with_callback(name: str, *, longest: float) -> Config:
    """Return an app with a callback and a mini program; how old its data may be, nobody has checked."""
    app = {**APP, "name": name, "callback": {"token": name, "aes_key": "A" * 43}}
    checked = parse_config({"apps": [{**app, "mini_program": {"max_age_seconds": 60}}]})
    unchecked = checked.apps[0].mini_program.model_copy(update={"max_age_seconds": longest})
    return checked.model_copy(
        update={"apps": [checked.apps[0].model_copy(update={"mini_program": unchecked})]}
    )


async def test_what_cannot_be_prepared_changes_nothing_and_the_next_file_is_taken():
    files = iter((with_callback("new", longest=float("inf")), with_callback("newer", longest=60)))
    settings = LiveSettings(config())
    world = World(lambda: next(files), prepares=[settings.prepare])

    assert ReloadOutcome.REFUSED is await world.reload.reload()
    assert [{"crm"}, set(), set()] == names_in(settings)
    assert [] == world.applied
    assert [1, 0] == world.counted()
    status = world.telemetry.replica_health.config
    assert ("unexpected error, see the log: OverflowError",) == status.problems

    assert ReloadOutcome.APPLIED is await world.reload.reload()
    assert [{"newer"}, {"newer"}, {"newer"}] == names_in(settings)
    assert [1, 1] == world.counted()


@pytest.mark.parametrize("url", ["redis://other:new@elsewhere", "sqlite:///broker.db"])
def test_the_login_of_another_store_is_not_shown_to_this_one(url: str):
    settings = LiveSettings(with_store("redis://broker:old@here"))
    settings.prepare(with_store(url))()
    assert ("broker", "old") == (settings.logins.servers.user, settings.logins.servers.password.reveal())

    settings.prepare(with_store("redis://other:newer@here"))()
    assert ("other", "newer") == (settings.logins.servers.user, settings.logins.servers.password.reveal())


def with_store(url: str) -> Config:
    keys = [] if url.startswith("sqlite") else [{"id": "k1", "key": "A" * 43 + "="}]
    return parse_config({"apps": [APP], "store": {"url": url, "seal_keys": keys}})


def names_in(settings: LiveSettings) -> list[set[str]]:
    """Return the names of the apps, and of those with a callback and a mini program."""
    return [set(settings.catalog.apps), set(settings.callbacks), set(settings.watermarks)]


async def test_a_file_that_cannot_be_read_for_an_unexpected_reason_ends_no_broker():
    def read() -> Config:
        raise ZeroDivisionError

    world = World(read)

    assert ReloadOutcome.REFUSED is await world.reload.reload()
    assert [] == world.applied
    assert [1, 0] == world.counted()

"""The password of Redis changes under load: the broker has it in a file, which it reads again by itself."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.conftest import Figures
from tests.integration.lifecycle.reloading import reloads
from tests.kit.processes.broker_process import BrokerProcess
from tests.kit.processes.fleet import CHILD_TOKEN, SimulatorProcess, child, configuration, connect, until
from tests.kit.processes.load import steady_load
from tests.kit.processes.redis_server import RedisServer
from tests.kit.processes.redis_sets import ask

pytestmark = pytest.mark.slow

USER = "broker"
OLD, NEW, ANOTHER = "the-old-password", "the-new-password", "another-password"
WARM = [child(1), child(2)]


@dataclass(frozen=True)
class Running:
    """A broker, its WeCom, its Redis, and the file with the password."""

    wecom: SimulatorProcess
    redis: RedisServer
    broker: BrokerProcess
    password: Path

    def set_user(self, *words: str) -> None:
        """Change the user in Redis."""
        ask(self.redis.port, "ACL SETUSER", USER, *words)

    def tell_broker(self, password: str) -> None:
        """Write the password as an operator's tool does, in one step."""
        fresh = self.password.with_name("fresh")
        fresh.write_text(f"{password}\n")
        fresh.replace(self.password)

    def logged_in(self) -> list[str]:
        """Return the connections of the broker's user."""
        return [line["addr"] for line in ask(self.redis.port, "CLIENT LIST") if line["user"] == USER]

    def store_is_up(self) -> bool:
        """Return what the broker says of its store."""
        return 'wecom_broker_dependency_up{dependency="store"} 1.0' in self.broker.metrics()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Each test has the password changed, from whichever it was."""
    tmp_path = tmp_path_factory.mktemp("password")
    with ExitStack() as stack:
        wecom = stack.enter_context(SimulatorProcess(children=20))
        redis = stack.enter_context(RedisServer(tmp_path / "redis"))
        password = tmp_path / "password"
        config = configuration(
            wecom.url,
            f"redis://{USER}@127.0.0.1:{redis.port}/0",
            store={"password": {"file": str(password)}},
        )
        found = Running(
            wecom, redis, BrokerProcess(tmp_path / "broker", config, patient=True, forked=True), password
        )
        found.set_user("reset", "on", f">{OLD}", "~*", "&*", "+@all")
        found.tell_broker(OLD)
        stack.enter_context(found.broker)
        yield found


async def test_no_call_fails_while_the_password_changes_with_both_allowed_for_a_while(
    running: Running, figures: Figures
) -> None:
    async with connect(running.broker.address) as (replica,):
        for corp_id in WARM:
            await replica.token(corp_id)
        running.wecom.forget_calls()
        read = reloads(running.broker, "applied")
        async with steady_load([replica], WARM, callers=4) as load:
            await until(lambda: load.calls > 20)
            running.set_user(f">{NEW}")
            running.tell_broker(NEW)
            await until(lambda: reloads(running.broker, "applied") > read)
            running.set_user("resetpass", f">{NEW}")
            before = running.logged_in()
            ask(running.redis.port, "CLIENT KILL", "USER", USER)
            took = await until(lambda: bool(set(running.logged_in()) - set(before)))
            await until(running.store_is_up)
            cold = [await replica.token(child(number)) for number in range(3, 8)]
        assert [] == load.refusals
    assert len({token.value for token in cold}) == len(cold)
    assert len(cold) == running.wecom.calls()[CHILD_TOKEN]
    figures(warm_calls=load.calls, logged_in_again_after_s=took)


async def test_a_password_that_redis_has_first_costs_no_call_for_what_is_in_memory(running: Running) -> None:
    async with connect(running.broker.address) as (replica,):
        for corp_id in WARM:
            await replica.token(corp_id)
        async with steady_load([replica], WARM, callers=4) as load:
            running.set_user("resetpass", f">{ANOTHER}")
            ask(running.redis.port, "CLIENT KILL", "USER", USER)
            await until(lambda: not running.store_is_up())
            running.tell_broker(ANOTHER)
            await until(running.store_is_up)
            assert await replica.token(child(10))
        assert [] == load.refusals

"""What acme's callback URLs were told."""

from dataclasses import dataclass

from broker.simulator import Callback, World
from broker.simulator import provider_demo as demo
from broker.simulator.demo import CALLBACK_KEYS
from broker.simulator.world.console.addresses import Channel
from tests.simulator.callbacks.receiver import Got, Receiver


def configure(world: World, base: str) -> None:
    """Give every URL of acme an address of its own below the base."""

    def callback(path: str) -> Callback:
        return Callback(f"{base}/{path}", CALLBACK_KEYS)

    addresses, market, tailored = (
        world.console.addresses,
        world.suites.get("market"),
        world.suites.get("tailored"),
    )
    addresses.set(market, Channel.COMMAND, callback("market"))
    addresses.set(market, Channel.DATA, callback("market/data/$CORPID$"))
    addresses.set(tailored, Channel.COMMAND, callback("tailored"))
    addresses.set(tailored, Channel.APP, callback("tailored/$CORPID$"))
    addresses.set_system(demo.PROVIDER, callback("acme"))


@dataclass
class Told:
    """Read what came since the last time."""

    world: World
    receiver: Receiver

    async def all(self) -> list[Got]:
        await self.world.callbacks.outbox.settled()
        got = list(self.receiver.got)
        self.receiver.got.clear()
        return got

    async def one(self) -> Got:
        (got,) = await self.all()
        return got

    async def names(self) -> list[str]:
        return [got.text("InfoType") or got.text("Event") for got in await self.all()]

"""The steady load: warm and cold calls, page signatures, callbacks, subscribers, rotations, installations.

None of it waits for another, so that what a fault holds up does not spare the others.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count

import aiohttp
from wecom_broker import Broker
from wecom_broker.v1 import js_sdk_service_pb2 as page_pb
from wecom_broker.v1.js_sdk_service_pb2_grpc import JsSdkServiceStub

from broker.simulator import provider_demo
from tests.chaos.callers import Caller, Tally
from tests.chaos.world import CHILDREN, INSTALLERS, Door, World
from tests.kit.callbacks.sender import CallbackSender
from tests.kit.processes.fleet import APP, Replica, child, connect, target, until
from tests.kit.processes.http_balancer import balanced
from tests.kit.processes.suites import until_ticket

WARM = [child(number) for number in range(1, 7)]
FIRST_COLD = 10
ANSWERED_WITHIN = 10.0
"""The deadline of each call; the Python client's own."""
WECOM_WAITS, WECOM_REPEATS, WECOM_PAUSES = 5.0, 3, 1.0
"""How WeCom sends a callback: for so long, so many times more (wecom-api C1)."""


@dataclass
class Seen:
    """What became of the load."""

    warm: Tally = field(default_factory=Tally)
    pages: Tally = field(default_factory=Tally)
    cold: Tally = field(default_factory=Tally)
    rotations: Tally = field(default_factory=Tally)
    asked: set[str] = field(default_factory=lambda: set(WARM))
    """Children whose token somebody asked for."""
    sent: int = 0
    accepted: set[str] = field(default_factory=set)
    """Callbacks that were answered with `success`."""
    handled: set[str] = field(default_factory=set)
    """Those that subscribers got."""


class Load:
    """Goes on while its block is open. `stop` ends all but the subscribers."""

    def __init__(self, world: World, replicas: Sequence[Replica], chance: random.Random) -> None:
        self.seen = Seen()
        self._world = world
        self._caller = Caller(replicas, chance)
        self._chance = chance
        self._over = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def warm_up(self, replicas: Sequence[Replica]) -> None:
        """Have every replica hold the tokens and tickets of the warm corps."""
        for replica in replicas:
            await asyncio.gather(*(replica.token(corp_id) for corp_id in WARM))
            await asyncio.gather(*(_sign(replica, corp_id) for corp_id in WARM))

    def start(self, sender: CallbackSender) -> None:
        """Begin; each kind has its own pace."""
        cold = (child(number) for number in range(FIRST_COLD, CHILDREN))
        corps = iter(provider_demo.children(INSTALLERS))
        numbers = count(int(time.time() * 1000))
        for _ in range(4):
            self._every(0.08, self._warm_call)
        self._every(0.08, self._page)
        self._every(0.2, lambda: self._cold_call(next(cold)))
        self._every(0.1, lambda: self._callback(sender, str(next(numbers))))
        self._every(1.5, self._rotate)
        self._every(1.5, lambda: asyncio.to_thread(self._install, next(corps)))

    async def stop(self) -> None:
        """Begin nothing more, and wait for what has begun."""
        self._over.set()
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _every(self, seconds: float, begin: Callable[[], Awaitable[object]]) -> None:
        async def go_on() -> None:
            while not self._over.is_set():
                self._spawn(begin())
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await self._over.wait()

        self._spawn(go_on())

    def _spawn(self, work: Awaitable[object]) -> None:
        async def run() -> None:
            await work

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        task.result()

    async def _warm_call(self) -> None:
        corp_id = self._chance.choice(WARM)
        await self._caller.ask(
            self.seen.warm, lambda replica: replica.token(corp_id, timeout=ANSWERED_WITHIN)
        )

    async def _page(self) -> None:
        corp_id = self._chance.choice(WARM)
        await self._caller.ask(self.seen.pages, lambda replica: _sign(replica, corp_id))

    async def _cold_call(self, corp_id: str) -> None:
        """Ask twice at once: whichever replicas that meets, the token is fetched for both."""
        self.seen.asked.add(corp_id)

        async def ask() -> None:
            await self._caller.ask(
                self.seen.cold, lambda replica: replica.token(corp_id, timeout=ANSWERED_WITHIN)
            )

        await asyncio.gather(ask(), ask())

    async def _rotate(self) -> None:
        corp_id = self._chance.choice(WARM)
        await self._caller.ask(self.seen.rotations, lambda replica: replica.refresh(corp_id))

    async def _callback(self, sender: CallbackSender, content: str) -> None:
        """Send as WeCom does, each time to another door."""
        self.seen.sent += 1
        doors = self._chance.sample(self._world.doors, len(self._world.doors))
        message = _text(child(1 + int(content) % 20), content)
        for attempt in range(1 + WECOM_REPEATS):
            if await _is_taken(sender, doors[attempt % len(doors)], message):
                self.seen.accepted.add(content)
                return
            await asyncio.sleep(WECOM_PAUSES)

    def _install(self, corp: str) -> None:
        """Have the suite installed; WeCom pushes the code, and is answered late or never."""
        with suppress(OSError):
            self._world.console.install(corp)

    async def subscribe(self, broker: Broker) -> None:
        """Handle events until it is cancelled."""
        async for event in broker.events(group="chaos", apps=[APP]):
            self.seen.handled.add(event.fields["Content"])


@asynccontextmanager
async def steady_load(world: World, chance: random.Random) -> AsyncIterator[Load]:
    """Put the load on the world inside the block."""
    addresses = [door.grpc for door in world.doors]
    async with AsyncExitStack() as stack:
        base = await stack.enter_async_context(balanced([door.http for door in world.doors]))
        world.console.call_back(f"{base}/callback")
        replicas = await stack.enter_async_context(connect(*addresses))
        await asyncio.to_thread(world.console.push_tickets, "market")
        await until_ticket(*(replica.of("market") for replica in replicas))
        load = Load(world, replicas, chance)
        await load.warm_up(replicas)
        subscribers = [
            await stack.enter_async_context(Broker("ipv4:" + ",".join(addresses))) for _ in range(2)
        ]
        listening = [asyncio.create_task(load.subscribe(subscriber)) for subscriber in subscribers]
        sender = await stack.enter_async_context(CallbackSender.open(""))
        load.start(sender)
        try:
            await until(lambda: bool(load.seen.handled))
            yield load
        finally:
            await load.stop()
            for task in listening:
                task.cancel()
            await asyncio.wait(listening)


async def _sign(replica: Replica, corp_id: str) -> page_pb.SignPageResponse:
    request = page_pb.SignPageRequest(target=target(corp_id, APP), url="https://crm.example/page")
    return await JsSdkServiceStub(replica.channel).SignPage(request, timeout=ANSWERED_WITHIN)


async def _is_taken(sender: CallbackSender, door: Door, message: bytes) -> bool:
    query, body = sender.envelope(message)
    try:
        async with (
            asyncio.timeout(WECOM_WAITS),
            sender.session.post(f"{door.http}/callback/{APP}", params=query, data=body) as answer,
        ):
            return answer.status == 200 and await answer.text() == "success"
    except (aiohttp.ClientError, OSError, TimeoutError):
        return False


def _text(corp_id: str, content: str) -> bytes:
    return (
        f"<xml><ToUserName><![CDATA[{corp_id}]]></ToUserName><FromUserName><![CDATA[lisi]]></FromUserName>"
        f"<CreateTime>{int(time.time())}</CreateTime><MsgType><![CDATA[text]]></MsgType>"
        f"<Content><![CDATA[{content}]]></Content><MsgId>{content}</MsgId><AgentID>1</AgentID></xml>"
    ).encode()

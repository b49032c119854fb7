"""Issue 4: three replicas behind one load balancer, killed and cut while WeCom calls."""

import asyncio
import json
import random
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from wecom_broker import Broker

from broker.simulator.demo import CALLBACK_AES_KEY, CALLBACK_TOKEN
from tests.integration.conftest import Figures
from tests.kit.callbacks.sender import CallbackSender
from tests.kit.machine import busy
from tests.kit.processes.environment import environment
from tests.kit.processes.fleet import APP, Fleet, child, running_fleet, until
from tests.kit.processes.http_balancer import balanced
from tests.kit.processes.redis_server import die_with_parent
from tests.kit.time_bounds import check_took

EVENTS, DUPLICATES, TAMPERED = 5000, 500, 250
CORPS = 40
MOST_TRIES = 4
"""WeCom sends once and repeats three times (wecom-api C1)."""
ANSWERED_WITHIN = 5.0
"""Seconds after which WeCom gives a delivery up."""
REST = 1.0
"""Seconds before the next try. It is not known how long WeCom waits; Redis is gone for a moment."""

pytestmark = pytest.mark.slow

SUBSCRIBER = """
import asyncio, json, sys, time
from wecom_broker import Broker

async def main(target, path):
    with open(path, "a", buffering=1) as seen:
        async with Broker(target) as broker:
            async for event in broker.events(group="crm", max_in_flight=50):
                seen.write(json.dumps([time.monotonic(), event.corp_id, event.fields["Content"]]) + "\\n")

asyncio.run(main(sys.argv[1], sys.argv[2]))
"""


class Subscriber:
    """A service in a process of its own, which writes down what it handles."""

    def __init__(self, target: str, path: Path) -> None:
        self.path = path
        self.process = subprocess.Popen(
            [sys.executable, "-c", SUBSCRIBER, target, str(path)],
            env=environment(),
            preexec_fn=die_with_parent,
        )

    def seen(self) -> list[tuple[float, str, str]]:
        """Return when it handled what of which corp; a last line may be cut by its end."""
        lines = self.path.read_text().split("\n")[:-1] if self.path.exists() else []
        return [tuple(json.loads(line)) for line in lines]

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait()


@dataclass
class Sent:
    """What WeCom sent, and how it was answered."""

    accepted: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    let_through: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    requests: int = 0

    def quantile(self, share: float) -> float:
        """Return how long that share of the answers took at most."""
        return sorted(self.seconds)[int(share * (len(self.seconds) - 1))]


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    callback = {"token": CALLBACK_TOKEN, "aes_key": CALLBACK_AES_KEY}
    with running_fleet(tmp_path, 3, children=CORPS, append_only=True, app={"callback": callback}) as fleet:
        yield fleet


def message(corp_id: str, content: str) -> bytes:
    return (
        f"<xml><ToUserName><![CDATA[{corp_id}]]></ToUserName><FromUserName><![CDATA[lisi]]></FromUserName>"
        f"<CreateTime>{int(time.time())}</CreateTime><MsgType><![CDATA[text]]></MsgType>"
        f"<Content><![CDATA[{content}]]></Content><MsgId>{content}</MsgId><AgentID>1</AgentID></xml>"
    ).encode()


def tampered(randomness: random.Random, query: dict[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
    """Change one letter of what is sealed, or of what proves it."""
    if randomness.random() < 0.5:
        name = randomness.choice(["msg_signature", "timestamp", "nonce"])
        digit = "1" if query[name][0] != "1" else "2"
        return {**query, name: digit + query[name][1:]}, body
    start = body.index(b"<Encrypt><![CDATA[") + len(b"<Encrypt><![CDATA[")
    place = randomness.randrange(start, body.index(b"]]></Encrypt>"))
    letter = b"A" if body[place : place + 1] != b"A" else b"B"
    return query, body[:place] + letter + body[place + 1 :]


async def send_all(url: str, sent: Sent) -> None:
    """Send as WeCom does: each corp's events in their order, some twice, some of them forged by others."""
    randomness = random.Random(4)
    plan = [(child(1 + number % CORPS), str(10**9 + number)) for number in range(EVENTS)]
    doubled = set(randomness.sample(range(EVENTS), DUPLICATES))
    forged = set(randomness.sample(range(EVENTS), TAMPERED))
    async with CallbackSender.open(url) as sender:

        async def deliver(corp_id: str, content: str) -> None:
            for _ in range(MOST_TRIES):
                sent.requests += 1
                status, body, seconds = await sender.post(message(corp_id, content))
                sent.seconds.append(seconds)
                if (status, body) == (200, "success"):
                    sent.accepted[corp_id].append(content)
                    return
                await asyncio.sleep(REST)
            sent.given_up.append(content)

        async def send(corp_id: str) -> None:
            for number, (corp, content) in enumerate(plan):
                if corp != corp_id:
                    continue
                if number in forged:
                    sent.requests += 1
                    forgery = message(corp, f"forged-{content}")
                    status, _, _ = await sender.post(forgery, tamper=partial(tampered, randomness))
                    if status == 200:
                        sent.let_through.append(content)
                await deliver(corp, content)
                if number in doubled:
                    await deliver(corp, content)

        await asyncio.gather(*(send(child(1 + number)) for number in range(CORPS)))


async def test_no_event_is_lost_when_a_replica_a_subscriber_and_redis_die(
    fleet: Fleet, tmp_path: Path, figures: Figures
) -> None:
    sent = Sent()
    target = "ipv4:" + ",".join(broker.address for broker in fleet.brokers)
    with ExitStack() as stack:
        subscribers = [Subscriber(target, tmp_path / f"seen-{number}") for number in range(3)]
        for subscriber in subscribers:
            stack.callback(subscriber.kill)
        urls = [f"http://127.0.0.1:{broker.http_port}" for broker in fleet.brokers]
        async with Broker(target) as broker, balanced(urls) as balancer, busy() as machine:
            await broker.access_token(APP, corp=child(1))
            sending = asyncio.create_task(send_all(f"{balancer}/callback/{APP}", sent))
            await until(lambda: sent.requests > 1200)
            fleet.brokers[0].kill()
            await until(lambda: sent.requests > 2400)
            fleet.redis.kill()
            fleet.redis.start()
            await until(lambda: sent.requests > 3600)
            subscribers[0].kill()
            await sending
            valid = {content for contents in sent.accepted.values() for content in contents}
            began = time.monotonic()

            def handled() -> set[str]:
                return {content for subscriber in subscribers for _, _, content in subscriber.seen()}

            await until(lambda: valid <= handled(), pause=0.2)
            drained = time.monotonic() - began

    seen = sorted(line for subscriber in subscribers for line in subscriber.seen())
    assert [] == sent.given_up
    assert EVENTS == len(valid)
    assert [] == sent.let_through
    assert valid == {content for _, _, content in seen}
    first: dict[str, list[str]] = defaultdict(list)
    for _, corp_id, content in seen:
        if content not in first[corp_id]:
            first[corp_id].append(content)
    assert {corp_id: sorted(contents) for corp_id, contents in first.items()} == dict(first)
    slowest = max(sent.seconds)
    check_took(slowest - machine.seconds, ANSWERED_WITHIN)
    figures(
        requests=sent.requests,
        handled=len(valid),
        handled_twice=len(seen) - len(valid),
        p50_ms=1000 * sent.quantile(0.5),
        p99_ms=1000 * sent.quantile(0.99),
        slowest_ms=1000 * slowest,
        drained_after_s=drained,
    )

"""docs/simulator.md: its commands do what it says."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.simulator import World, demo_world
from tests.simulator.callbacks.receiver import KEYS_BY_PATH, running_receiver
from tests.simulator.caller import Caller, FakeClock

PAGE = Path(__file__).parents[3] / "docs" / "simulator.md"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
COMMANDS = [line for kind, block in BLOCKS if kind == "sh" for line in block.splitlines()]
REQUESTS = [shlex.split(line)[1:] for line in COMMANDS if line.startswith("curl")]


@pytest.fixture
def world(clock: FakeClock) -> World:
    # An interval of suite_tickets waits in real time.
    return demo_world(clock=clock)


@pytest.fixture
async def callback_url() -> AsyncIterator[str]:
    async with running_receiver() as receiver:
        receiver.keys_by_path = KEYS_BY_PATH
        yield receiver.url


async def test_each_request_is_answered_in_its_order(wecom: Caller, world: World, callback_url: str) -> None:
    assert len(REQUESTS) > 30
    for words in REQUESTS:
        method = words[words.index("-X") + 1] if "-X" in words else "GET"
        url = next(word for word in words if word.startswith("$SIMULATOR")).removeprefix("$SIMULATOR")
        data = words[words.index("-d") + 1] if "-d" in words else None
        if data and '"url"' in data:
            data = json.dumps(json.loads(data) | {"url": callback_url})
        if data and '"callback_base"' in data:
            base = callback_url.removesuffix("/crm")
            data = json.dumps(json.loads(data) | {"callback_base": base})
        async with wecom.session.request(method, url, data=data) as response:
            body = await response.text()
            assert 200 == response.status, (words, body)
        if url.endswith("/events") and method == "POST":
            answer = json.loads(body)
            assert [True] == [event["accepted"] for event in answer.get("events", [answer])]


def test_the_other_commands_are_known() -> None:
    others = {line.split()[0] for line in COMMANDS if not line.startswith("curl")}

    assert {"wecom-broker", "SIMULATOR=http://127.0.0.1:8081"} == others


def test_the_python_runs() -> None:
    (program,) = [block for kind, block in BLOCKS if kind == "python"]

    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)

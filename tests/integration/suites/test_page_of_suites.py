"""docs/suites.md: its configurations are accepted, and what it says to try works."""

import asyncio
import re
import shlex
import tomllib
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from click.testing import CliRunner

from broker.app.running_broker import RunningBroker, running_broker
from broker.cli import main
from broker.config.load import parse_config
from broker.simulator import demo_world, running_simulator
from tests.architecture.pages.documents import blocks
from tests.kit.processes.fleet import until

PAGE = Path(__file__).parents[3] / "docs" / "suites.md"
TOML = [tomllib.loads(code) for language, code in blocks(PAGE) if language == "toml"]
WALK = next(code for language, code in blocks(PAGE) if language == "sh" and code.startswith("CONSOLE="))
SECRETS = {
    **{f"{name}_TOKEN": name.lower() for name in ("ACME", "MARKET", "TAILORED")},
    **{f"{name}_SECRET": "secret" for name in ("ACME_PROVIDER", "MARKET", "TAILORED")},
    **{f"{name}_AES_KEY": "a" * 43 for name in ("ACME", "MARKET", "TAILORED")},
}


def test_the_configuration_of_a_provider_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    for configuration in TOML:
        parse_config(configuration)


@pytest.fixture
async def simulator() -> AsyncIterator[str]:
    async with running_simulator(demo_world()) as url:
        yield url


@pytest.fixture
async def broker(tmp_path: Path, simulator: str) -> AsyncIterator[RunningBroker]:
    configuration: dict[str, Any] = TOML[-1] | {
        "server": {"grpc": ["127.0.0.1:0"], "http": "127.0.0.1:0", "drain_seconds": 0},
        "store": {"url": f"sqlite:///{tmp_path}/broker.db"},
        "wecom": {"api_base": simulator},
    }
    async with running_broker(parse_config(configuration)) as broker:
        yield broker


async def test_what_it_says_to_try_works(simulator: str, broker: RunningBroker) -> None:
    setting, *commands = WALK.replace("127.0.0.1:8080", f"127.0.0.1:{broker.http_port}").splitlines()
    console = setting.partition("=")[2].replace("http://127.0.0.1:8081", simulator)
    expected = [["active"] * 3, ["active", "active", "cancelled"]]

    async def is_listed(states: list[str]) -> bool:
        arguments = ["suites", "list", "market", "--address", broker.grpc_addresses[0]]
        listed = await asyncio.to_thread(CliRunner().invoke, main, arguments)
        assert 0 == listed.exit_code, listed.output
        return states == sorted(re.findall(r" (active|pending|cancelled|lost) ", listed.stdout))

    async with aiohttp.ClientSession() as session:
        for words in map(shlex.split, commands):
            if words[0] == "curl":
                url, data = words[3].replace("$CONSOLE", console), words[5]
                async with session.post(url, data=data) as answer:
                    assert 200 == answer.status, await answer.text()
            else:
                assert words == ["wecom-broker", "suites", "list", "market"]
                await until(partial(is_listed, expected.pop(0)))
    assert not expected

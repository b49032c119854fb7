"""docker-compose.yml shows the main job; what only an engine can show was seen by hand."""

import re
import shutil
import subprocess
import tomllib

import pytest

from broker.simulator.demo import PARENT, SECRET
from tests.deploy.files import DEPLOY, ROOT, blocks

COMPOSE = (ROOT / "docker-compose.yml").read_text()
SERVICES = blocks(COMPOSE, under="services")


def compose_command() -> list[str] | None:
    for command in (["docker", "compose"], ["docker-compose"]):
        if not shutil.which(command[0]):
            continue
        if not subprocess.run([*command, "version"], capture_output=True, check=False).returncode:
            return command
    return None


def test_compose_takes_the_file():
    command = compose_command()
    if command is None:
        pytest.skip("neither `docker compose` nor `docker-compose` is here")

    result = subprocess.run(
        [*command, "--file", str(ROOT / "docker-compose.yml"), "config", "--quiet"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (0, "") == (result.returncode, result.stderr)


def test_it_has_two_brokers_a_load_balancer_redis_and_the_simulator():
    assert {"broker-1", "broker-2", "lb", "redis", "wecom", "demo"} <= set(SERVICES)
    assert "*broker" == SERVICES["broker-1"].strip() == SERVICES["broker-2"].strip()
    assert '--appendonly, "yes"' in SERVICES["redis"]
    assert "simulate, --host, 0.0.0.0" in SERVICES["wecom"]


def test_only_the_load_balancer_is_reached_and_only_from_this_machine():
    published = re.findall(r"^      - (\S+):\d+:\d+$", SERVICES["lb"], re.MULTILINE)

    assert {"lb"} == {name for name, text in SERVICES.items() if "ports:" in text}
    assert ["127.0.0.1"] * 2 == published
    assert "ports:" not in COMPOSE.partition("services:")[0]


def test_the_demo_waits_for_the_load_balancer_and_that_for_the_brokers():
    assert "lb: { condition: service_healthy }" in SERVICES["demo"]
    assert "broker-1: { condition: service_healthy }" in SERVICES["lb"]
    assert "broker-2: { condition: service_healthy }" in SERVICES["lb"]


def test_the_load_balancer_knows_the_brokers_and_asks_them_whether_they_are_ready():
    haproxy = (DEPLOY / "haproxy.cfg").read_text()

    servers = re.findall(r"^    server \S+ (\S+)$", haproxy, re.MULTILINE)

    assert ["broker-1:50051", "broker-2:50051"] == servers
    assert "proto h2" in haproxy
    assert "uri /readyz" in haproxy


def test_the_brokers_know_the_simulators_app():
    config = tomllib.loads((DEPLOY / "broker.compose.toml").read_text())
    (app,) = config["apps"]

    assert PARENT == (app["corp_id"], app["agent_id"])
    assert f"${{CRM_SECRET:-{SECRET}}}" in COMPOSE


def test_a_stopping_broker_has_time_to_drain():
    grace = re.search(r"stop_grace_period: (\d+)s", COMPOSE)
    config = tomllib.loads((DEPLOY / "broker.compose.toml").read_text())

    assert grace
    assert int(grace[1]) > config.get("server", {}).get("drain_seconds", 10) + 1

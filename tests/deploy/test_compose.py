"""docker-compose.yml shows the main job; what only an engine can show was seen by hand."""

import re
import shutil
import subprocess
import tomllib

import pytest

from broker.domain.apps import APP_NAME
from broker.simulator.demo import CALLBACK_AES_KEY, CALLBACK_TOKEN, PARENT, SECRET
from tests.deploy.files import DEPLOY, ROOT, blocks

COMPOSE = (ROOT / "docker-compose.yml").read_text()
SERVICES = blocks(COMPOSE, under="services")
WECOM_DROPS_AFTER_MS = 5000


def haproxy(section: str) -> str:
    text = (DEPLOY / "haproxy.cfg").read_text()
    return re.split(r"^\S", text.split(f"\n{section}\n")[1], maxsplit=1, flags=re.MULTILINE)[0]


def servers(section: str) -> list[str]:
    return re.findall(r"^    server \S+ (\S+)$", section, re.MULTILINE)


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
    assert " --appendonly yes " in SERVICES["redis"]
    assert "simulate, --host, 0.0.0.0" in SERVICES["wecom"]


def test_only_the_load_balancer_is_reached_and_only_from_this_machine():
    published = re.findall(r"^      - (\S+):\d+:\d+$", SERVICES["lb"], re.MULTILINE)

    assert {"lb"} == {name for name, text in SERVICES.items() if "ports:" in text}
    assert ["127.0.0.1"] * 3 == published
    assert "ports:" not in COMPOSE.partition("services:")[0]


def test_the_demo_waits_for_the_load_balancer_and_that_for_the_brokers():
    assert "lb: { condition: service_healthy }" in SERVICES["demo"]
    assert "broker-1: { condition: service_healthy }" in SERVICES["lb"]
    assert "broker-2: { condition: service_healthy }" in SERVICES["lb"]


def test_the_load_balancer_knows_the_brokers_and_asks_them_whether_they_are_ready():
    brokers = haproxy("backend brokers")

    assert ["broker-1:50051", "broker-2:50051"] == servers(brokers)
    assert "proto h2" in brokers
    assert "uri /readyz" in brokers


def test_callbacks_alone_are_passed_on_to_the_brokers_http():
    callbacks = haproxy("frontend callbacks")
    passed = re.search(r"return status 404 unless { path_reg (\S+) }", callbacks)

    assert passed
    for path in ("/callback/crm", "/callback/crm/", "/callback/tailored/wpG_-A", "/callback/tailored/wp1/"):
        assert re.search(passed[1], path), path
    for path in (
        "/callback/tailored/wp1/x",
        "/callback/tailored/..",
        "/callback//metrics",
        "/metrics",
        "/livez",
        "/",
        "/callback/",
        "/callback/../metrics",
        "/callback/crm/../../metrics",
    ):
        assert not re.search(passed[1], path), path
    assert "X-Forwarded-For %[src]" in callbacks
    assert ["broker-1:8080", "broker-2:8080"] == servers(haproxy("backend callbacks"))


def test_every_name_that_an_app_may_have_is_passed_on():
    passed = re.search(r"path_reg (\S+)", haproxy("frontend callbacks"))

    assert passed
    for name in ("a", "7", "C.r_m-2", "x" * 64):
        assert APP_NAME.fullmatch(name)
        assert re.search(passed[1], f"/callback/{name}")


def test_a_callback_is_answered_before_wecom_gives_it_up():
    backend = haproxy("backend callbacks")
    waits = dict(re.findall(r"^    timeout (\w+) (\d+)ms$", backend, re.MULTILINE))

    assert int(waits["connect"]) + int(waits["server"]) <= WECOM_DROPS_AFTER_MS
    assert "uri /livez" in backend, "a broker that has no tokens to give still takes callbacks"


def test_the_brokers_know_the_simulators_app():
    config = tomllib.loads((DEPLOY / "broker.compose.toml").read_text())
    (app,) = config["apps"]

    assert PARENT == (app["corp_id"], app["agent_id"])
    assert f"${{CRM_SECRET:-{SECRET}}}" in COMPOSE


def test_the_brokers_know_what_the_simulator_signs_and_seals_with():
    config = tomllib.loads((DEPLOY / "broker.compose.toml").read_text())
    (app,) = config["apps"]

    assert {"token": {"env": "CRM_CALLBACK_TOKEN"}, "aes_key": {"env": "CRM_CALLBACK_AES_KEY"}} == app[
        "callback"
    ]
    assert f"${{CRM_CALLBACK_TOKEN:-{CALLBACK_TOKEN}}}" in COMPOSE
    assert f"${{CRM_CALLBACK_AES_KEY:-{CALLBACK_AES_KEY}}}" in COMPOSE
    assert f"--callback-url http://lb:8080/callback/{app['name']}\n" in SERVICES["demo"]


def test_a_stopping_broker_has_time_to_drain():
    grace = re.search(r"stop_grace_period: (\d+)s", COMPOSE)
    config = tomllib.loads((DEPLOY / "broker.compose.toml").read_text())

    assert grace
    assert int(grace[1]) > config.get("server", {}).get("drain_seconds", 10) + 1

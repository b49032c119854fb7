"""What is deployed has no more rights than it needs, and writes its memory nowhere."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.files import DEPLOY, ROOT, blocks

COMPOSE = (ROOT / "docker-compose.yml").read_text()
FLEET = DEPLOY / "kubernetes" / "overlays" / "fleet"
UNIT = DEPLOY / "wecom-broker.service"
DOCKERFILE = (ROOT / "Dockerfile").read_text()
NOTIFY_RELOAD_SINCE = 253


@pytest.mark.parametrize("service", ["lb", "redis"])
def test_containers_of_others_have_no_capabilities(service: str) -> None:
    text = blocks(COMPOSE, under="services")[service]

    for line in ("read_only: true", "cap_drop: [ALL]", 'security_opt: ["no-new-privileges:true"]'):
        assert line in text, line


def test_containers_of_the_broker_have_none_either_and_write_no_core() -> None:
    text = COMPOSE.partition("x-image:")[2].partition("\nx-broker:")[0]

    for line in ("read_only: true", "cap_drop: [ALL]", "no-new-privileges:true", "ulimits: { core: 0 }"):
        assert line in text, line


def test_pods_reach_names_redis_and_wecom_alone() -> None:
    policy = (FLEET / "network-policy.yaml").read_text()
    egress = policy.partition("  egress:")[2]

    assert "policyTypes: [Ingress, Egress]" in policy
    assert {"53", "6379", "443"} == set(re.findall(r"port: (\w+)", egress))


@pytest.mark.parametrize(
    "name",
    [
        "broker.compose.toml",
        "kubernetes/overlays/fleet/broker.toml",
        "kubernetes/overlays/sidecar/broker.toml",
    ],
)
def test_redis_has_tls_and_a_password_that_no_sample_shows(name: str) -> None:
    text = (DEPLOY / name).read_text()
    said = [line for line in text.splitlines() if "rediss://" in line and not line.startswith("#")]

    assert re.search(r'^ *url = { file = "/\S+/redis-url" }$', text, re.MULTILINE)
    assert [] == said
    assert not re.search("redis://", text)


def test_every_image_can_be_given_by_its_digest() -> None:
    images = re.findall(
        r"^(?:ARG BASE_IMAGE=| +(?:image|BASE_IMAGE): )(\S+)$", DOCKERFILE + COMPOSE, re.MULTILINE
    )
    foreign = [image for image in images if not image.startswith("wecom-broker:")]
    page = (ROOT / "docs" / "deploy.md").read_text()

    assert foreign[0] == "python:3.12-slim"
    assert foreign[1:] == [
        f"${{{name}}}"
        for name in (
            "BASE_IMAGE:-python:3.12-slim",
            "HAPROXY_IMAGE:-haproxy:3.0-alpine",
            "REDIS_IMAGE:-redis:7-alpine",
        )
    ]
    for variable in ("BASE_IMAGE", "HAPROXY_IMAGE", "REDIS_IMAGE"):
        assert f"{variable}=" in page, variable


@pytest.mark.parametrize(
    "line", ["LimitCORE=0", "MemoryMax=1G", "ProcSubset=pid", "ProtectProc=invisible", "NoNewPrivileges=yes"]
)
def test_the_unit_is_confined(line: str) -> None:
    assert line in UNIT.read_text().splitlines()


def test_systemd_takes_the_unit_with_all_that_is_switched_off(tmp_path: Path) -> None:
    if not (analyze := shutil.which("systemd-analyze")):
        pytest.skip("systemd-analyze is not here")
    unit = tmp_path / UNIT.name
    text = re.sub(r"^#(?=[A-Z]\w+=)", "", UNIT.read_text(), flags=re.MULTILINE)
    version = subprocess.run(
        [analyze, "--version"], capture_output=True, text=True, check=True
    ).stdout.split()
    if int(version[1]) < NOTIFY_RELOAD_SINCE:
        older = re.search(r"in place of Type=:\n#\n((?:#   .+\n)+)", text)
        assert older
        text = text.replace("\nType=notify-reload\n", "\n" + older[1].replace("#   ", ""))
    unit.write_text(text)
    said = subprocess.run([analyze, "verify", str(unit)], capture_output=True, text=True, check=False).stderr

    assert {
        "IPAddressDeny=any",
        "LoadCredential=crm-callback-token:/etc/wecom-broker/secrets/crm-callback-token",
    } <= {*unit.read_text().splitlines()}
    assert not re.search("Unknown|Failed to parse|Invalid", said)
    assert re.search("^Type=notify", text, re.MULTILINE)

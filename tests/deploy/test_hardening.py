"""What is deployed has no more rights than it needs, and writes its memory nowhere."""

import re
import shutil
import subprocess

import pytest

from tests.deploy.files import DEPLOY, ROOT, blocks

COMPOSE = (ROOT / "docker-compose.yml").read_text()
KUBERNETES = (DEPLOY / "kubernetes.yaml").read_text()
UNIT = DEPLOY / "wecom-broker.service"


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
    policy = KUBERNETES.partition("kind: NetworkPolicy")[2].partition("\n---")[0]
    egress = policy.partition("  egress:")[2]

    assert "policyTypes: [Ingress, Egress]" in policy
    assert {"53", "6379", "443"} == set(re.findall(r"port: (\w+)", egress))


@pytest.mark.parametrize(
    "line", ["LimitCORE=0", "MemoryMax=1G", "ProcSubset=pid", "ProtectProc=invisible", "NoNewPrivileges=yes"]
)
def test_the_unit_is_confined(line: str) -> None:
    assert line in UNIT.read_text().splitlines()


def test_systemd_takes_the_unit() -> None:
    if not (analyze := shutil.which("systemd-analyze")):
        pytest.skip("systemd-analyze is not here")
    said = subprocess.run([analyze, "verify", str(UNIT)], capture_output=True, text=True, check=False).stderr

    assert not re.search("Unknown|Failed to parse|Invalid", said)

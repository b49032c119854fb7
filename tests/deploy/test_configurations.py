"""Each configuration that is shown can be used."""

import base64
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pydantic import BaseModel

from broker.cli import main
from broker.config.load import load_config
from broker.config.schema import Config, LogTable, RefreshTable, ServerTable, StoreTable, WecomTable
from tests.deploy.files import DEPLOY, switched_on
from tests.kit.processes.certificates import Authority

EXAMPLE = DEPLOY / "broker.example.toml"
SEAL_KEY = base64.b64encode(bytes(32)).decode()
IN_FILES = {
    "crm-callback-token": "token",
    "crm-callback-aes-key": "a" * 43,
    "wecom-ca.pem": Authority().pem.decode(),
    "redis-url": "rediss://broker:password@redis:6379/0?ssl_ca_certs=/etc/redis.crt",
}
CALLED_BACK = ("ACME", "MARKET", "TAILORED", "CLIENTS", "CLIENT")
ENVIRONMENT = {
    "WECOM_BROKER_SEAL_KEY": SEAL_KEY,
    "WECOM_BROKER_LOG_LEVEL": "",
    "CRM_SECRET": "secret",
    "CRM_CALLBACK_TOKEN": "token",
    "CRM_CALLBACK_AES_KEY": "a" * 43,
    **{f"{name}_SECRET": "secret" for name in ("ACME_PROVIDER", "MARKET_SUITE", "TAILORED_SUITE")},
    **{f"{name}_CALLBACK_TOKEN": name for name in CALLED_BACK},
    **{f"{name}_CALLBACK_AES_KEY": "a" * 43 for name in CALLED_BACK},
}


OFF_LOOPBACK = (
    "warning: server.http: 0.0.0.0:8080 is off loopback, without TLS: whoever reaches it reads the"
    " metrics, which name apps and callers; let only a proxy and Prometheus reach it\n"
)
IN_THE_CLEAR = (
    "warning: server.grpc[0]: 0.0.0.0:50051 is off loopback, without TLS: whoever is on the way reads tokens,"
    " and what proves the callers; set server.tls\n"
)
SIMULATED = "warning: wecom.api_base: http sends secrets and tokens in the clear; use https\n"


def check(path: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["check-config", "--config", str(path), *options], env=ENVIRONMENT)


def with_files(text: str, folder: str, here: Path) -> str:
    """Put the files that the text names in a folder under another one, where they exist."""
    for name in re.findall(rf'"{folder}/([^"]+)"', text):
        file = here / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(IN_FILES.get(file.name, SEAL_KEY))
        file.chmod(0o600)
    return text.replace(folder, str(here))


def keys(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield name
        for table in tables(field.annotation):
            yield from keys(table)


def tables(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from tables(argument)


def test_the_example_is_accepted():
    result = check(EXAMPLE)

    assert (0, "") == (result.exit_code, result.stderr)


def test_the_example_is_accepted_with_all_that_is_switched_off(tmp_path: Path):
    config = tmp_path / "broker.toml"
    config.write_text(with_files(switched_on(EXAMPLE.read_text()), "/etc/wecom-broker", tmp_path / "etc"))

    result = check(config)

    assert (0, "") == (result.exit_code, result.stderr)


def test_the_example_has_every_key():
    text = switched_on(EXAMPLE.read_text())

    assert [] == [
        # What is for Redis alone stands in a comment, for the example has the embedded store.
        key
        for key in keys(Config)
        if not re.search(rf"(^(# )?|[\[{{,] ?){key}( =|\])", text, re.MULTILINE)
    ]


def test_the_example_shows_the_defaults(monkeypatch: pytest.MonkeyPatch):
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)

    config = load_config(EXAMPLE)

    assert (WecomTable(), LogTable(), RefreshTable()) == (config.wecom, config.log, config.refresh)
    assert ServerTable(grpc=config.server.grpc) == config.server
    assert StoreTable().prefix == config.store.prefix


def test_the_configuration_of_compose_is_accepted(tmp_path: Path):
    config = tmp_path / "broker.toml"
    config.write_text(
        with_files((DEPLOY / "broker.compose.toml").read_text(), "/var/lib/wecom-broker", tmp_path / "var")
    )

    result = check(config, "--insecure")

    assert (0, IN_THE_CLEAR + OFF_LOOPBACK + SIMULATED) == (result.exit_code, result.stderr)


@pytest.mark.parametrize(("mode", "warned"), [("fleet", OFF_LOOPBACK), ("sidecar", "")])
def test_the_configurations_of_kubernetes_are_accepted(mode: str, warned: str, tmp_path: Path):
    config = tmp_path / "broker.toml"
    text = (DEPLOY / "kubernetes" / "overlays" / mode / "broker.toml").read_text()
    config.write_text(with_files(text, "/etc/wecom-broker", tmp_path / "etc"))

    result = check(config)

    assert (0, warned) == (result.exit_code, result.stderr)

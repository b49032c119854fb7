"""The Python client and the command line behind mutual TLS; a renewed certificate without a restart."""

import asyncio
from pathlib import Path

import pytest
import wecom_broker.sync
from click.testing import CliRunner, Result
from wecom_broker import Broker, Tls, errors
from wecom_broker._connection import renewal

from broker.cli import main
from tests.integration.access.doors import BY_SPIFFE, ORDERS, door
from tests.kit.processes.certificates import Authority, Pair
from tests.kit.processes.fleet import child


@pytest.fixture(autouse=True)
def looked_at_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewal, "CHECK_SECONDS", 0.0)


def at(folder: Path, authority: Authority, pair: Pair) -> Tls:
    files = pair.write(folder, "client")
    (folder / "trusted.pem").write_bytes(authority.pem)
    return Tls(folder / "trusted.pem", files["certificate"], files["private_key"])


def stranger(authority: Authority) -> Pair:
    return authority.sign(uri="spiffe://example.org/others")


async def test_a_renewed_certificate_is_used_without_a_restart(tmp_path: Path) -> None:
    async with door(tmp_path, [BY_SPIFFE]) as tls:
        known = at(tmp_path, tls.authority, stranger(tls.authority))
        async with Broker(tls.address, tls=known) as client:
            with pytest.raises(errors.Unauthenticated):
                await client.access_token("crm", corp=child(2))
            tls.authority.sign(uri=ORDERS).write(tmp_path, "client")

            assert child(1) == (await client.access_token("crm", corp=child(1))).corp_id

            stranger(tls.authority).write(tmp_path, "client")
            with pytest.raises(errors.Unauthenticated):
                await client.access_token("crm", corp=child(2))
            for _ in range(2 * renewal.KEPT):
                tls.authority.sign(uri=ORDERS).write(tmp_path, "client")
                assert (await client.access_token("crm", corp=child(2))).value


async def test_the_client_for_threads_renews_it_too(tmp_path: Path) -> None:
    async with door(tmp_path, [BY_SPIFFE]) as tls:
        known = at(tmp_path, tls.authority, stranger(tls.authority))

        def use() -> str:
            with wecom_broker.sync.Broker(tls.address, tls=known) as client:
                with pytest.raises(errors.Unauthenticated):
                    client.access_token("crm")
                tls.authority.sign(uri=ORDERS).write(tmp_path, "client")
                return client.access_token("crm", corp=child(1)).corp_id

        assert child(1) == await asyncio.to_thread(use)


async def test_files_that_do_not_fit_yet_are_not_used(tmp_path: Path) -> None:
    async with door(tmp_path, [BY_SPIFFE]) as tls:
        known = at(tmp_path, tls.authority, tls.authority.sign(uri=ORDERS))
        async with Broker(tls.address, tls=known) as client:
            assert (await client.access_token("crm", corp=child(1))).value
            half = tls.authority.sign(uri=ORDERS)
            for content in (half.certificate, b"", None):
                if content is None:
                    (tmp_path / "client.pem").unlink()
                else:
                    (tmp_path / "client.pem").write_bytes(content)
                assert (await client.access_token("crm", corp=child(2))).value


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(main, arguments, env=environment)


@pytest.mark.parametrize("by_environment", [False, True])
async def test_commands_present_a_certificate(tmp_path: Path, *, by_environment: bool) -> None:
    async with door(tmp_path, [BY_SPIFFE]) as tls:
        at(tmp_path, tls.authority, tls.authority.sign(uri=ORDERS))
        files = {"ca": "trusted.pem", "cert": "client.pem", "key": "client.key.pem"}
        given = {name: str(tmp_path / file) for name, file in files.items()}
        environment = {f"WECOM_BROKER_{name.upper()}": path for name, path in given.items()}
        options = [part for name, path in given.items() for part in (f"--{name}", path)]
        command = ["token", "get", "crm", "--corp", child(1), "--address", tls.address, "--json"]

        result = await asyncio.to_thread(
            run, *command, *([] if by_environment else options), **(environment if by_environment else {})
        )

    assert 0 == result.exit_code, result.stderr
    assert f'"corp_id": "{child(1)}"' in result.stdout


def test_a_certificate_without_its_key_is_told(tmp_path: Path) -> None:
    (tmp_path / "client.pem").write_bytes(b"")

    result = run("token", "get", "crm", "--cert", str(tmp_path / "client.pem"))

    assert (2, "error: --cert and --key go together\n") == (result.exit_code, result.stderr)


def test_a_command_sends_no_token_in_plain_text_to_another_machine() -> None:
    result = run("token", "get", "crm", "--address", "192.0.2.1:50051", WECOM_BROKER_TOKEN="a-token")

    assert 1 == result.exit_code
    assert "WECOM_BROKER_TOKEN would be sent to 192.0.2.1:50051 without TLS" in result.stderr
    assert "a-token" not in result.stderr

"""Commands of operators reach a broker behind TLS by certificate or bearer token, or say what they need."""

import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.simulator import demo_world
from tests.kit.broker_here import broker_here
from tests.kit.processes.certificates import Authority

BEARER = "the-bearer-token-of-ops"
ALL = [{"apps": ["*"], "corps": ["*"], "actions": ["admin.read", "admin.refresh"]}]


class Terminal:
    """Where commands are typed, beside a broker that wants to know who asks."""

    def __init__(self, folder: Path, addresses: list[str], ops: dict[str, str], ca: str) -> None:
        self.demanding, self.lenient = addresses
        """The listener that demands a certificate, and the one for bearer tokens."""
        self.certificate = ["--cert", ops["certificate"], "--key", ops["private_key"]]
        bearer = folder / "bearer"
        bearer.write_text(BEARER)
        self.token = ["--token", str(bearer)]
        self._ca = ca

    async def run(self, address: str, *words: str) -> tuple[int, str]:
        """Return the exit code, and what was printed."""
        command = [sys.executable, "-m", "broker", *words, "--address", address, "--ca", self._ca]
        running = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        out, _ = await running.communicate()
        return running.returncode or 0, out.decode()


@pytest.fixture
async def terminal(tmp_path: Path) -> AsyncIterator[Terminal]:
    authority = Authority()
    ca = authority.write(tmp_path)
    tls = {**authority.sign(address="127.0.0.1").write(tmp_path, "server"), "client_ca": ca}
    listeners = [
        {"address": "127.0.0.1:0", "client_certificate": True},
        {"address": "127.0.0.1:0", "client_certificate": False},
    ]
    callers = [
        {"name": "ops", "identity": "spiffe://example.org/ops", "allow": ALL},
        {"name": "pager", "token_sha256": hashlib.sha256(BEARER.encode()).hexdigest(), "allow": ALL},
    ]
    ops = authority.sign(uri="spiffe://example.org/ops").write(tmp_path, "ops")
    server = {"tls": tls, "grpc": listeners}
    async with broker_here(tmp_path, demo_world(), server=server, callers=callers) as here:
        yield Terminal(tmp_path, here.broker.grpc_addresses, ops, ca)


async def test_the_doctor_comes_by_a_certificate_or_a_bearer_token(terminal: Terminal) -> None:
    for address, proof in ((terminal.demanding, terminal.certificate), (terminal.lenient, terminal.token)):
        code, out = await terminal.run(address, "doctor", *proof)
        assert 0 == code, out
        assert "OK    tls" in out or "WARN  tls" in out
        code, out = await terminal.run(address, "retry", "crm", *proof)
        assert 0 == code, out


async def test_who_does_not_say_who_it_is_hears_how(terminal: Terminal) -> None:
    code, out = await terminal.run(terminal.lenient, "status")
    assert 1 == code
    assert "see --cert, --key and --token" in out

    code, out = await terminal.run(terminal.lenient, "doctor")
    assert 1 == code
    assert "FAIL  broker  UNAUTHENTICATED" in out
    assert "→ say who you are: --cert and --key, or --token" in out

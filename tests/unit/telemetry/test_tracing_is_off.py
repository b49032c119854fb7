"""Off, tracing costs no call a step and no process an import; on without its packages, the start says so."""

import subprocess
import sys
from pathlib import Path

import pytest

from broker.app.tracing.composed import Untraced
from broker.domain.caller_policy import CallerPolicy
from broker.server.http.callbacks import CallbackEndpoint
from broker.server.http.forwarded import Forwarded
from tests.kit.processes.environment import environment
from tests.unit.server.entry.guarding import guard_of

SHOW = """
print([name for name in sys.modules if name.startswith(("opentelemetry.", "broker.telemetry.otel"))])
"""
CLIENT = f"import sys, wecom_broker, wecom_broker.sync{SHOW}"
# Without OpenTelemetry: redis-py imports it where it is installed.
BROKER = f"""
import sys
sys.modules["opentelemetry"] = None
import broker.app.running_broker, broker.cli{SHOW}
"""
WITHOUT = """
import sys
sys.modules["opentelemetry"] = None
from broker.cli import main
main()
"""


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment())


@pytest.mark.slow
@pytest.mark.parametrize("code", [CLIENT, BROKER], ids=["client", "broker"])
def test_nothing_imports_opentelemetry(code: str) -> None:
    assert "[]\n" == python(code).stdout


def test_requests_are_handled_by_what_handles_them_without_tracing() -> None:
    off, guard = Untraced(), guard_of(CallerPolicy())

    def met(_error: object, _caller: str) -> None: ...

    callbacks = off.callbacks(None, Forwarded([]), None)  # type: ignore[arg-type]
    assert guard.choose == off.choosing(guard)
    assert met is off.meeting(met)
    assert CallbackEndpoint is type(callbacks)


@pytest.mark.slow
def test_without_opentelemetry_a_start_names_what_to_install(tmp_path: Path) -> None:
    config = tmp_path / "broker.toml"
    config.write_text(
        "[tracing]\nenabled = true\n"
        f'[store]\nurl = "sqlite:///{tmp_path}/broker.db"\n'
        '[server]\ngrpc = ["127.0.0.1:0"]\nhttp = "127.0.0.1:0"\n'
        '[[apps]]\nname = "crm"\ncorp_id = "ww1"\nsecret = "a-secret-of-crm"\n'
    )

    ended = python(WITHOUT, "serve", "--config", str(config))

    assert 3 == ended.returncode, ended.stderr
    assert "tracing.enabled" in ended.stderr
    assert "pip install 'wecom-broker[otel]'" in ended.stderr
    assert "Traceback" not in ended.stderr

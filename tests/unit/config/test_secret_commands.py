"""Secrets that a command prints: run without a shell, within a time limit, and never shown."""

import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from broker.config.load import ConfigError, parse_config
from broker.config.secrets import command as secret_command
from tests.kit.processes.fleet import until

CRM: dict[str, Any] = {"name": "crm", "corp_id": "ww0parent", "agent_id": 1000002, "secret": "a-secret"}
MARKED = "marked-secret-0123456789"


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a busy machine take its time to start a program."""
    monkeypatch.setattr(secret_command, "COMMAND_SECONDS", 60.0)


def python(code: str, *arguments: str) -> dict[str, list[str]]:
    return {"command": [sys.executable, "-c", code, *arguments]}


def secret_of(given: object) -> str:
    return parse_config({"apps": [{**CRM, "secret": given}]}).apps[0].secret.reveal()  # type: ignore[union-attr]


def problem_with(given: object) -> str:
    with pytest.raises(ConfigError) as refused:
        secret_of(given)
    [problem] = refused.value.problems
    assert problem.startswith("apps[0].secret: ")
    return problem.removeprefix("apps[0].secret: ")


def test_what_it_prints_is_the_secret_trimmed() -> None:
    assert MARKED == secret_of(python(f"print(' {MARKED} \\r\\n')"))


def test_no_shell_reads_it(tmp_path: Path) -> None:
    said = python("import sys; print(len(sys.argv))", "; touch", str(tmp_path / "made"), "$(id)")

    assert "4" == secret_of(said)
    assert not list(tmp_path.iterdir())


def test_it_gets_no_input() -> None:
    assert "0" == secret_of(python("import sys; print(len(sys.stdin.read()))"))


def test_neither_its_errors_nor_what_it_printed_are_shown(
    capfd: pytest.CaptureFixture[str],
) -> None:
    code = f"import sys; print('{MARKED}'); print('{MARKED}', file=sys.stderr); sys.exit(3)"
    problem = problem_with(python(code))

    assert "failed with status 3; run it by hand" in problem
    assert MARKED not in problem + "".join(capfd.readouterr())


def test_one_that_a_signal_ended_failed() -> None:
    assert "failed with status -9" in problem_with(python("import os; os.kill(os.getpid(), 9)"))


@pytest.mark.slow
async def test_one_that_hangs_is_ended_with_what_it_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(secret_command, "COMMAND_SECONDS", 1.0)
    written = tmp_path / "pid"
    # What it starts holds its output open.
    hangs = f"sleep 60 & echo $! > {shlex.quote(str(written))}; sleep 60"

    assert "did not end within 1 s" in problem_with({"command": ["sh", "-c", hangs]})
    started = int(written.read_text())
    await until(lambda: not _runs(started))


def _runs(pid: int) -> bool:
    """Tell whether it does; whoever adopts what has ended may let it stay as a zombie."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
    return "\nState:\tZ" not in status


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (["/does/not/exist", MARKED], "cannot run '/does/not/exist': No such file or directory"),
        (["/", MARKED], "cannot run '/': Permission denied"),
        (["a\0b", MARKED], "it has a NUL"),
    ],
)
def test_one_that_cannot_run_is_named_without_its_arguments(command: list[str], problem: str) -> None:
    said = problem_with({"command": command})

    assert problem in said
    assert MARKED not in said


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("pass", "is empty"),
        ("print('  ')", "is empty"),
        ("print('a' * 70_000)", "printed more than"),
        ("import sys; sys.stdout.buffer.write(bytes([0xff, 0xfe, 0x80]))", "what "),
    ],
)
def test_what_is_no_secret_is_told(code: str, problem: str) -> None:
    assert problem in problem_with(python(code))


def test_a_seal_key_may_come_from_one() -> None:
    code = "import base64; print(base64.b64encode(bytes(range(32))).decode())"
    keys = [{"id": "k1", "key": python(code)}]
    config = parse_config({"apps": [CRM], "store": {"url": "redis://h", "seal_keys": keys}})

    assert bytes(range(32)) == config.store.seal_keys[0].key_bytes()

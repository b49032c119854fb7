"""What operators ask of a running broker, and do to it: tables, JSON for programs, hints after errors."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.cli.demo.playground import Playground
from broker.simulator.demo import PARENT
from broker.simulator.world.faults import Errcode
from tests.cli.running import WITHIN_SECONDS, run, running_playground
from tests.kit.processes.ports import free_port

CHILD = "ww1child000000001"


@pytest.fixture
def playground() -> Iterator[Playground]:
    """One for each test: what WeCom refused is remembered, and the log level too."""
    with running_playground() as running:
        yield running


@pytest.fixture
def address(playground: Playground) -> str:
    """Return its address, once its suites have their tickets: WeCom pushes them a moment after the start."""
    address = f"--address={playground.address}"
    ends = time.monotonic() + WITHIN_SECONDS
    while any(
        suite["ticket_problem"] for suite in json.loads(run("status", address, "--json").stdout)["suites"]
    ):
        assert time.monotonic() < ends
    return address


@pytest.fixture
def untrusted(playground: Playground, address: str) -> None:
    """Have WeCom refuse the ticket of crm, and somebody meet that."""
    refusal = Errcode(60020, "not allow to access from your ip, from ip: 203.0.113.9")
    playground.world.faults.add("get_jsapi_ticket", refusal)
    assert "IP_NOT_TRUSTED" in run("sign", "crm", "https://crm.example/page", address).stderr


# --- status


def test_the_status_shows_the_replica_its_fleet_and_its_suites(address: str) -> None:
    result = run("status", address)

    assert 0 == result.exit_code
    facts = dict(line.split(maxsplit=1) for line in result.stdout.splitlines() if line.strip())
    assert "yes" == facts["serving"]
    assert facts["store"].startswith("ok since")
    assert "seals" in facts["seal"]
    assert "REPLICA" in result.stdout
    assert "market" in result.stdout


@pytest.mark.usefixtures("untrusted")
def test_the_status_shows_what_was_refused_and_what_to_do(address: str) -> None:
    shown = run("status", address).stdout

    assert "IP_NOT_TRUSTED" in shown
    assert "60020" in shown
    assert (
        "→ add 203.0.113.9 to the app's 企业可信IP (active in about 1 min), then: wecom-broker retry crm"
        in shown
    )


@pytest.mark.usefixtures("untrusted")
def test_the_status_is_one_json_for_programs(address: str) -> None:
    found = json.loads(run("status", address, "--json").stdout)

    assert found["serving"] is True
    [refusal] = found["refusals"]
    assert ("crm", 60020, "203.0.113.9", "corp_ticket") == tuple(
        refusal[name] for name in ("app", "errcode", "ip", "kind")
    )
    assert refusal["call_count"] >= 1
    assert [True] == [replica["current"] for replica in found["replicas"]]
    assert found["start_time"].endswith("+00:00")


# --- credentials, refresh, retry, quotas


@pytest.mark.usefixtures("untrusted")
def test_credentials_are_shown_with_those_that_could_not_be_fetched(address: str) -> None:
    shown = run("credentials", "crm", address).stdout
    [token] = [line for line in shown.splitlines() if "access_token" in line and PARENT.corpid in line]
    [ticket] = [line for line in shown.splitlines() if "corp_ticket" in line]

    assert "fresh" in token
    assert "missing" in ticket
    assert "IP_NOT_TRUSTED" in ticket
    states = [
        json.loads(line)["state"] for line in run("credentials", "crm", address, "--json").stdout.splitlines()
    ]
    assert {"fresh", "missing"} == set(states)


def test_a_credential_is_fetched_anew(address: str) -> None:
    before = json.loads(run("token", "get", "crm", address, "--json").stdout)["generation"]
    shown = run("refresh", "crm", address)
    after = json.loads(
        run("refresh", "crm", "--corp", CHILD, "--kind", "access_token", address, "--json").stdout
    )

    assert f"generation {before}" not in shown.stdout
    assert shown.stdout.startswith("rotated: generation ")
    assert (CHILD, "access_token") == (after["credential"]["corp_id"], after["credential"]["kind"])


def test_what_was_refused_is_tried_again_after_a_retry(playground: Playground, address: str) -> None:
    playground.world.faults.add("ticket/get", Errcode(50003, "app disabled"))
    sign = ("sign", "crm", "https://crm.example/page", address)
    assert "APP_DISABLED" in run(*sign).stderr
    playground.world.faults.clear()
    assert "APP_DISABLED" in run(*sign).stderr

    result = run("retry", "crm", address)
    assert "1 refusal of crm forgotten: the next call tries\n" == result.stdout
    assert 0 == run(*sign).exit_code
    assert "nothing is remembered of crm: each call tries already\n" == run("retry", "crm", address).stdout
    nothing = {"cleared_count": 0, "acknowledged_count": 0}
    assert nothing == json.loads(run("retry", "crm", address, "--json").stdout)


def test_quotas_show_what_is_used(address: str) -> None:
    run("token", "get", "crm", address)
    shown = run("quotas", "crm", address).stdout.splitlines()
    everything = [json.loads(line) for line in run("quotas", "crm", address, "--json").stdout.splitlines()]

    assert shown[0].split() == [
        "ENDPOINT",
        "CORP",
        "AGENT",
        "WINDOW",
        "USED",
        "LIMIT",
        "CLOSED",
        "FORCED",
        "BY",
    ]
    assert any("/cgi-bin/gettoken" in line for line in shown)
    assert len(everything) >= len(shown)
    assert {"60.0", "3600.0"} == {str(quota["window"]) for quota in everything}


def test_the_log_level_is_changed_and_the_one_before_is_named(address: str) -> None:
    before = json.loads(run("log-level", "error", address, "--json").stdout)["previous_level"]
    result = run("log-level", before, address)

    assert result.stdout.endswith(f": {before}, error before\n")


# --- groups of events


def test_a_group_that_is_not_known_is_an_error(address: str) -> None:
    for command in (
        ("events", "dead", "nosuch", "crm"),
        ("events", "dead", "anyone/nosuch", "crm"),
        ("events", "retry", "nosuch", "crm:1-1"),
        ("events", "delete-group", "anyone/nosuch", "crm"),
    ):
        result = run(*command, address)
        assert 1 == result.exit_code, command
        assert "nosuch" in result.stderr


def test_without_groups_there_is_nothing_to_show(address: str) -> None:
    for command in (("events", "groups", "market"), ("suites", "list", "tailored")):
        shown, as_json = (run(*command, address, *option) for option in ([], ["--json"]))

        assert ("", "none\n") == (shown.stdout, shown.stderr)
        assert ("", "") == (as_json.stdout, as_json.stderr)


def test_groups_of_an_app_that_is_not_known_are_an_error_that_names_one_that_is(address: str) -> None:
    for command in (("events", "groups", "crn"), ("events", "delete-group", "anyone/work", "crn")):
        assert "UNKNOWN_APP" in run(*command, address).stderr
        assert "did you mean crm?" in run(*command, address).stderr


# --- token write


def test_a_token_is_written_for_its_owner_alone_and_somebody_is_told(address: str, tmp_path: Path) -> None:
    told: list[int] = []
    before = signal.signal(signal.SIGHUP, lambda number, _: told.append(number))
    file, pid_file = tmp_path / "token", tmp_path / "pid"
    pid_file.write_text(f"{os.getpid()}\n")
    try:
        result = run("token", "write", "crm", "--to", str(file), "--once", "--signal", str(pid_file), address)
    finally:
        signal.signal(signal.SIGHUP, before)

    assert 0 == result.exit_code
    value = json.loads(run("token", "get", "crm", address, "--json", "--reveal").stdout)["value"]
    assert value == file.read_text()
    assert value not in result.output
    assert 0o600 == stat.S_IMODE(file.stat().st_mode)
    assert [signal.SIGHUP] == told
    assert {"token", "pid"} == {found.name for found in tmp_path.iterdir()}


def test_nobody_to_tell_is_no_reason_to_fail(address: str, tmp_path: Path) -> None:
    result = run(
        "token",
        "write",
        "crm",
        "--to",
        str(tmp_path / "token"),
        "--once",
        "--signal",
        str(tmp_path / "no"),
        address,
    )

    assert 0 == result.exit_code
    assert "nobody told" in result.stderr
    assert (tmp_path / "token").read_text()


@pytest.mark.parametrize("pid", ["-99999999", "9" * 30, "café"])
def test_what_is_not_the_id_of_one_process_is_told(address: str, tmp_path: Path, pid: str) -> None:
    file, pid_file = tmp_path / "token", tmp_path / "pid"
    pid_file.write_text(pid)
    result = run("token", "write", "crm", "--to", str(file), "--once", "--signal", str(pid_file), address)

    assert 0 == result.exit_code
    assert f"--signal: nobody told: {pid_file}: " in result.stderr
    assert "No such process" not in result.stderr


def test_programs_are_told_what_was_written_and_not_the_token(address: str, tmp_path: Path) -> None:
    file = tmp_path / "token"
    result = run("token", "write", "crm", "--to", str(file), "--once", "--json", address)
    present = json.loads(run("token", "get", "crm", address, "--json").stdout)

    assert (0, "") == (result.exit_code, result.stderr)
    assert {
        "file": str(file),
        "generation": present["generation"],
        "expire_time": present["expire_time"],
    } == json.loads(result.stdout)
    assert file.read_text() not in result.output


def test_a_token_that_is_not_had_is_told_to_programs_as_json(address: str, tmp_path: Path) -> None:
    result = run("token", "write", "nosuch", "--to", str(tmp_path / "token"), "--once", "--json", address)

    assert (1, "") == (result.exit_code, result.stdout)
    assert "UNKNOWN_APP" == json.loads(result.stderr)["error"]["reason"]


def test_a_file_that_cannot_be_written_is_named(address: str, tmp_path: Path) -> None:
    result = run("token", "write", "crm", "--to", str(tmp_path / "no" / "token"), "--once", address)

    assert 1 == result.exit_code
    assert result.stderr.startswith("error: --to: cannot write")


# --- what was meant


def test_a_mistyped_command_option_or_app_is_guessed(address: str) -> None:
    assert "did you mean status?" in run("statsu").output
    assert "did you mean get?" in run("token", "gett", "crm").output
    assert "--address" in run("status", "--addres", "x").output
    for command in (("retry", "crn"), ("token", "get", "crn"), ("credentials", "crn")):
        result = run(*command, address)
        assert 1 == result.exit_code
        assert "UNKNOWN_APP" in result.stderr
        assert "did you mean crm?" in result.stderr


def test_who_is_not_there_is_asked_for(tmp_path: Path) -> None:
    result = run("status", f"--address=127.0.0.1:{free_port()}")

    assert 1 == result.exit_code
    assert "is it running? see --address" in result.stderr


def test_a_bearer_token_comes_from_a_file_and_not_without_tls(tmp_path: Path) -> None:
    file = tmp_path / "bearer"
    file.write_text("a-bearer-token\n")
    result = run("status", "--address=somewhere.example:1", f"--token={file}")

    assert 1 == result.exit_code
    assert "without TLS" in result.stderr
    assert "a-bearer-token" not in result.output


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_completion(shell: str) -> None:
    result = run("completion", shell)

    assert 0 == result.exit_code
    assert "_WECOM_BROKER_COMPLETE" in result.stdout


def test_commands_are_completed() -> None:
    program = Path(sys.executable).with_name("wecom-broker")
    asked = {"_WECOM_BROKER_COMPLETE": "bash_complete", "COMP_WORDS": "wecom-broker cred", "COMP_CWORD": "1"}
    found = subprocess.run(
        [program], env={**os.environ, **asked}, capture_output=True, text=True, check=False
    )

    assert "plain,credentials\n" == found.stdout


# --- doctor


def test_the_doctor_finds_nothing_where_nothing_is_wrong(address: str) -> None:
    result = run("doctor", address)

    assert 0 == result.exit_code
    assert "FAIL" not in result.stdout
    assert "OK    crm" in result.stdout
    assert {"ok": True} == {"ok": json.loads(run("doctor", address, "--json").stdout)["ok"]}


@pytest.mark.usefixtures("untrusted")
def test_the_doctor_names_the_cause_and_the_command_that_heals_it(
    playground: Playground, address: str
) -> None:
    calls = playground.world.log.calls()
    results = [run("doctor", address) for _ in range(5)]

    assert [1] * 5 == [result.exit_code for result in results]
    first, second, *_ = results[0].stdout.splitlines()
    assert first.startswith("FAIL  crm")
    assert "IP_NOT_TRUSTED 60020" in first
    assert "WeCom sees 203.0.113.9" in first
    assert second.endswith("then: wecom-broker retry crm")
    assert calls == playground.world.log.calls(), "WeCom is not asked"

    playground.world.faults.clear()
    assert 0 == run("retry", "crm", address).exit_code
    assert 0 == run("sign", "crm", "https://crm.example/page", address).exit_code
    assert 0 == run("doctor", address).exit_code


def test_a_broker_that_is_not_there_is_a_finding_too() -> None:
    result = run("doctor", f"--address=127.0.0.1:{free_port()}", "--json")
    found = json.loads(result.stdout)

    assert 1 == result.exit_code
    assert found["ok"] is False
    assert ["BROKER_UNREACHABLE"] == [each["problem"].partition(":")[0] for each in found["findings"]]

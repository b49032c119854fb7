"""What commands say and how they end: keys, configuration, help."""

import base64
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import broker
from broker.cli.serving.workers import CANNOT_START
from tests.cli.running import run
from tests.kit.processes.broker_process import to_toml

APP: dict[str, Any] = {"name": "crm", "corp_id": "ww0parent", "agent_id": 1000002, "secret": "SecretOfTheApp"}
VERBS = ["serve", "dev", "demo", "simulate", "check-config", "token", "shares", "suites", "audit", "keys"]


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "broker.toml"
    path.write_text(to_toml({"apps": [APP, {**APP, "name": "hr"}]}))
    return path


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


# --- help


def test_the_help_names_every_verb() -> None:
    result = run("--help")

    assert 0 == result.exit_code
    assert set(VERBS) <= {line.split()[0] for line in result.stdout.splitlines() if line.startswith("  ")}


@pytest.mark.parametrize(
    "verb",
    [
        *([verb] for verb in VERBS),
        ["token", "get"],
        ["token", "watch"],
        ["shares", "list"],
        ["shares", "sync"],
        ["suites", "list"],
        ["suites", "show"],
        ["suites", "install-url"],
        ["suites", "export"],
        ["suites", "import"],
        ["keys", "new"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_every_verb_has_a_help(verb: list[str], option: str) -> None:
    result = run(*verb, option)

    assert 0 == result.exit_code
    assert result.stdout.startswith("Usage: ")


@pytest.mark.parametrize("group", [[], ["token"], ["events"], ["suites"], ["keys"]])
def test_the_help_of_a_group_says_each_command_in_a_whole_sentence(group: list[str]) -> None:
    said = run(*group, "--help").stdout

    assert "..." not in said.partition("Commands:")[2]
    assert max(map(len, said.splitlines())) <= 80


def test_the_help_of_serve_says_where_the_configuration_comes_from() -> None:
    said = run("serve", "--help").stdout

    assert "--config" in said
    assert "WECOM_BROKER_CONFIG" in said
    assert "--insecure" in said
    assert "--worker" not in said


def test_the_version_is_told() -> None:
    assert f"wecom-broker, version {broker.__version__}\n" == run("--version").stdout


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["token"], ["token", "get"], ["serve"], ["--nonsense"], []], ids=" ".join
)
def test_what_is_no_command_is_told_so(arguments: list[str]) -> None:
    result = run(*arguments)

    assert 2 == result.exit_code
    assert "Usage: " in result.output


def test_a_terminal_that_cannot_show_a_character_is_no_error() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    command = [sys.executable, "-m", "broker", "--help"]
    done = subprocess.run(command, capture_output=True, env=environment, check=False)

    assert (0, b"") == (done.returncode, done.stderr)
    assert b"\\u4f01\\u4e1a" in done.stdout


def test_without_uvloop_the_loop_of_asyncio_serves() -> None:
    program = (
        "import sys; sys.modules['uvloop'] = None\n"
        "import asyncio; from broker.cli.ending import run_until_stopped\n"
        "async def main(): print(type(asyncio.get_running_loop()).__module__)\n"
        "run_until_stopped(main())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert (0, "") == (done.returncode, done.stderr)
    assert done.stdout.startswith("asyncio.")


def test_a_broker_that_is_not_there_is_said_to_be_so_and_where_to_look() -> None:
    result = run("token", "get", "crm", "--address", "127.0.0.1:1")

    assert 1 == result.exit_code
    assert result.stderr.startswith("error: BROKER_UNREACHABLE: ")
    assert result.stderr.endswith("; is it running? see --address, and --ca where it has TLS\n")


def test_python_dash_m_broker_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "broker", "--version"], capture_output=True, text=True, check=True
    )

    assert f"version {broker.__version__}" in done.stdout


# --- keys


def test_a_new_key_is_base64_of_32_bytes_and_nothing_else() -> None:
    result = run("keys", "new")

    assert 0 == result.exit_code
    assert 32 == len(base64.b64decode(result.stdout.strip(), validate=True))
    assert "" == result.stderr


def test_a_new_key_comes_as_json_for_programs() -> None:
    told = json.loads(run("keys", "new", "--id", "k2", "--json").stdout)

    assert {"id", "key"} == set(told)
    assert "k2" == told["id"]
    assert 32 == len(base64.b64decode(told["key"], validate=True))


def test_no_two_keys_are_the_same() -> None:
    assert run("keys", "new").stdout != run("keys", "new").stdout


def test_a_new_key_seals_a_store(tmp_path: Path) -> None:
    key = json.loads(run("keys", "new", "--json").stdout)
    path = tmp_path / "broker.toml"
    path.write_text(to_toml({"store": {"url": "redis://127.0.0.1", "seal_keys": [key]}, "apps": [APP]}))

    assert 0 == run("check-config", "--config", str(path)).exit_code


# --- check-config


def test_a_good_configuration_is_told_so(good: Path) -> None:
    result = run("check-config", "--config", str(good))

    assert 0 == result.exit_code
    assert f"{good} is fine: 2 app(s) (crm, hr), store sqlite\n" == result.stdout


def test_the_configuration_may_be_named_by_the_environment(good: Path) -> None:
    assert 0 == run("check-config", WECOM_BROKER_CONFIG=str(good)).exit_code


def test_what_is_hardly_meant_is_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "broker.toml"
    path.write_text(to_toml({"server": {"http": "0.0.0.0:8080"}, "apps": [APP]}))

    shown = run("check-config", "--config", str(path))
    told = json.loads(run("check-config", "--config", str(path), "--json").stdout)

    assert 0 == shown.exit_code
    assert shown.stderr.startswith("warning: server.http: 0.0.0.0:8080 is off loopback")
    assert (True, ["crm"], ["server.http"]) == (
        told["ok"],
        told["apps"],
        [warning["key"] for warning in told["warnings"]],
    )


def test_mistakes_come_as_json_for_programs(tmp_path: Path) -> None:
    path = tmp_path / "broker.toml"
    path.write_text(to_toml({"server": {"grcp": ["127.0.0.1:1"]}, "apps": [APP]}))
    result = run("check-config", "--config", str(path), "--json")

    assert 2 == result.exit_code
    assert {
        "ok": False,
        "mistakes": [{"key": "server.grcp", "message": "unknown key; did you mean grpc?"}],
    } == json.loads(result.stdout)


def test_all_mistakes_of_a_configuration_are_told_on_stderr(tmp_path: Path) -> None:
    path = tmp_path / "broker.toml"
    path.write_text(
        to_toml(
            {
                "server": {"grpc": ["0.0.0.0:50051"], "bogus": 1},
                "log": {"level": "loud"},
                "apps": [APP, APP, {"name": "x y"}],
            }
        )
    )

    result = run("check-config", "--config", str(path))

    assert 2 == result.exit_code
    assert "" == result.stdout
    assert {
        "server.bogus",
        "log.level",
        "apps[2].name",
        "apps[2].corp_id",
        "apps[2].secret",
    } <= set(re.findall(r"^config: ([^:]+): ", result.stderr, re.MULTILINE))
    assert result.stderr.endswith(f"error: {path} cannot be used\n")
    assert APP["secret"] not in result.output


@pytest.mark.parametrize("verb", ["check-config", "serve"])
def test_a_missing_file_is_told(tmp_path: Path, verb: str) -> None:
    result = run(verb, "--config", str(tmp_path / "none.toml"))

    assert 2 == result.exit_code
    assert "cannot be read: No such file or directory" in result.stderr


@pytest.mark.parametrize("verb", ["check-config", "serve"])
def test_broken_toml_is_told_with_its_line(tmp_path: Path, verb: str) -> None:
    path = tmp_path / "broker.toml"
    path.write_text("[server\n")
    result = run(verb, "--config", str(path))

    assert 2 == result.exit_code
    assert "line 1" in result.stderr


def test_listening_off_loopback_needs_insecure_to_say_so(tmp_path: Path) -> None:
    path = tmp_path / "broker.toml"
    path.write_text(to_toml({"server": {"grpc": ["0.0.0.0:50051"]}, "apps": [APP]}))

    assert 2 == run("check-config", "--config", str(path)).exit_code
    assert 0 == run("check-config", "--config", str(path), "--insecure").exit_code


# --- what keeps a server from starting


def served(tmp_path: Path, **server: object) -> str:
    path = tmp_path / "broker.toml"
    listens = {"grpc": ["127.0.0.1:0"], "http": "127.0.0.1:0", "drain_seconds": 0, **server}
    path.write_text(
        to_toml({"server": listens, "store": {"url": f"sqlite:///{tmp_path}/store.db"}, "apps": [APP]})
    )
    result = run("serve", "--config", str(path))
    assert CANNOT_START == result.exit_code
    return result.stderr.splitlines()[-1]


def test_a_grpc_port_in_use_is_told_by_its_key(tmp_path: Path, taken: int) -> None:
    said = served(tmp_path, grpc=["127.0.0.1:0", f"127.0.0.1:{taken}"])

    assert said.startswith(f"error: server.grpc[1]: cannot listen on 127.0.0.1:{taken}: the port is in use")


def test_an_http_port_in_use_is_told_by_its_key(tmp_path: Path, taken: int) -> None:
    said = served(tmp_path, http=f"127.0.0.1:{taken}")

    assert said.startswith(f"error: server.http: cannot listen on 127.0.0.1:{taken}: ")


def test_a_socket_file_without_its_folder_is_told_by_its_key(tmp_path: Path) -> None:
    said = served(tmp_path, grpc=[f"unix://{tmp_path}/none/broker.sock"])

    assert said.startswith("error: server.grpc[0]: cannot listen on unix://")
    assert said.endswith("its folder does not exist")


@pytest.mark.parametrize("option", ["--grpc-port", "--http-port", "--wecom-port"])
def test_dev_tells_of_a_port_in_use(taken: int, option: str) -> None:
    ports = {"--grpc-port": 0, "--http-port": 0, "--wecom-port": 0, option: taken}
    result = run("dev", *(f"{name}={port}" for name, port in ports.items()))

    assert 1 == result.exit_code
    said = result.stderr.splitlines()[-1]
    assert said.startswith(f"error: {option}: cannot listen on 127.0.0.1:{taken}: ")
    assert said.endswith("is another `dev` running? Choose another port, or 0 for a free one")
    assert "Errno" not in said


def test_simulate_tells_of_a_port_in_use(taken: int) -> None:
    result = run("simulate", "--port", str(taken))

    assert 1 == result.exit_code
    assert result.stderr.startswith(f"error: --port: cannot listen on 127.0.0.1:{taken}: ")


@pytest.mark.parametrize("verb", ["dev", "demo"])
def test_a_wrong_log_level_in_the_environment_is_told(verb: str) -> None:
    ports = ["--grpc-port=0", "--http-port=0", "--wecom-port=0"] if verb == "dev" else []
    result = run(verb, *ports, WECOM_BROKER_LOG_LEVEL="loud")

    assert 1 == result.exit_code
    assert result.stderr.startswith("error: WECOM_BROKER_LOG_LEVEL: ")


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["simulate", "--port", "99999"], "--port"),
        (["simulate", "--port", "-1"], "--port"),
        (["simulate", "--children", "-1"], "--children"),
        (["simulate", "--token-lifetime", "nan"], "--token-lifetime"),
        (["simulate", "--token-lifetime", "inf"], "--token-lifetime"),
        (["simulate", "--token-lifetime", "-1"], "--token-lifetime"),
        (["simulate", "--habit", "odd"], "--habit"),
        (["dev", "--grpc-port", "65536"], "--grpc-port"),
        (["dev", "--http-port", "x"], "--http-port"),
        (["dev", "--wecom-port", "-1"], "--wecom-port"),
        (["token", "get", "crm", "--min-ttl", "nan"], "--min-ttl"),
        (["token", "get", "crm", "--min-ttl", "1e300"], "--min-ttl"),
        (["token", "get", "crm", "--min-ttl", "-5"], "--min-ttl"),
        (["token", "get", "crm", "--agent-id", "99999999999999999999"], "--agent-id"),
        (["token", "get", "crm", "--agent-id", "-1"], "--agent-id"),
        (["token", "get", "crm", "--share-kind", "own"], "--share-kind"),
        (["token", "get", "crm", "--ca", "."], "--ca"),
        (["token", "get", "crm", "--ca", "no-such-file.pem"], "--ca"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else "",
)
def test_an_option_out_of_range_is_told_by_name(arguments: list[str], option: str) -> None:
    result = run(*arguments)

    assert 2 == result.exit_code
    assert f"Invalid value for '{option}'" in result.stderr


def test_the_ports_of_this_machine_are_free_again_after_a_refused_start(tmp_path: Path, taken: int) -> None:
    served(tmp_path, http=f"127.0.0.1:{taken}")

    assert served(tmp_path, http=f"127.0.0.1:{taken}").startswith("error: server.http: ")

"""Commands that ask a running broker: tokens and shares."""

import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from wecom_broker.sync import Broker

from broker.cli.demo.playground import Playground
from broker.domain.credentials import RefreshPolicy
from broker.simulator import AppId
from broker.simulator.demo import PARENT
from tests.cli.running import interrupted, process, run
from tests.kit.processes.ports import free_port
from tests.kit.time_bounds import check_took

CHILD, SUPPLIER = "ww1child000000001", "wpSupplier_000000001"


def living_tokens(playground: Playground, corp: str, agent: int) -> list[str]:
    return [
        token.value for token in playground.world.tokens.alive(AppId(corp, agent), playground.world.now())
    ]


@pytest.fixture
def address(playground: Playground) -> str:
    return f"--address={playground.address}"


# --- token get


def test_a_token_is_shown_with_its_value_masked(playground: Playground, address: str) -> None:
    result = run("token", "get", "crm", address)
    shown = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())

    assert 0 == result.exit_code
    assert {"value", "corp_id", "agent_id", "generation", "expire_time"} == set(shown)
    assert (PARENT.corpid, str(PARENT.agentid)) == (shown["corp_id"], shown["agent_id"])
    assert re.fullmatch(r".{4}…\(\d+ characters\)", shown["value"])
    assert not [value for value in living_tokens(playground, *PARENT) if value in result.output]
    assert datetime.fromisoformat(shown["expire_time"]) > datetime.now(UTC)


def test_a_token_is_shown_whole_on_demand(playground: Playground, address: str) -> None:
    result = run("token", "get", "crm", address, "--reveal")
    value = result.stdout.splitlines()[0].split()[1]

    assert value in living_tokens(playground, *PARENT)


def test_a_token_comes_as_json_for_programs_masked_too(playground: Playground, address: str) -> None:
    masked = json.loads(run("token", "get", "crm", address, "--json").stdout)
    whole = json.loads(run("token", "get", "crm", address, "--json", "--reveal").stdout)

    assert "…" in masked.pop("value")
    assert whole.pop("value") in living_tokens(playground, *PARENT)
    assert whole == masked
    assert isinstance(whole["agent_id"], int)
    assert isinstance(whole["generation"], int)


@pytest.mark.parametrize(
    ("corp", "agent", "more"),
    [
        (CHILD, 1000010, ()),
        (SUPPLIER, 1000020, ()),
        (SUPPLIER, 1000020, ("--share-kind", "supply_chain")),
        (CHILD, 1000010, ("--agent-id", "1000010")),
    ],
)
def test_a_child_s_token_is_the_child_s(address: str, corp: str, agent: int, more: tuple[str, ...]) -> None:
    told = json.loads(run("token", "get", "crm", "--corp", corp, *more, address, "--json").stdout)

    assert (corp, agent) == (told["corp_id"], told["agent_id"])


def test_a_least_life_may_be_asked_for(address: str) -> None:
    assert 0 == run("token", "get", "crm", "--min-ttl", "60", address).exit_code


def test_the_address_may_come_from_the_environment(playground: Playground) -> None:
    assert 0 == run("token", "get", "crm", WECOM_BROKER_ADDRESS=playground.address).exit_code


ERRORS = [
    (["token", "get", "nosuch"], "UNKNOWN_APP"),
    (["token", "get", "crm", "--corp", "ww9stranger"], "APP_NOT_SHARED"),
    (["token", "get", "crm", "--corp", CHILD, "--share-kind", "supply_chain"], "APP_NOT_SHARED"),
    (["token", "get", "crm", "--corp", "ww 9"], "INVALID_REQUEST"),
    (["token", "get", "crm", "--agent-id", "5"], "INVALID_REQUEST"),
    (["token", "get", "c r m"], "INVALID_REQUEST"),
    (["token", "watch", "nosuch"], "UNKNOWN_APP"),
    (["shares", "list", "nosuch"], "UNKNOWN_APP"),
    (["shares", "sync", "nosuch"], "UNKNOWN_APP"),
    (["suites", "list", "nosuch"], "UNKNOWN_APP"),
    (["suites", "list", "crm"], "INVALID_REQUEST"),
    (["suites", "show", "market", "wp9stranger"], "CORP_NOT_AUTHORIZED"),
    (["suites", "install-url", "market", "--redirect-uri", "nowhere"], "INVALID_REQUEST"),
    (["suites", "install-url", "tailored", "--redirect-uri", "https://a.example/"], "INVALID_REQUEST"),
]


@pytest.mark.parametrize(
    ("arguments", "reason"), ERRORS, ids=[" ".join(arguments) for arguments, _ in ERRORS]
)
def test_an_error_is_told_by_its_reason(address: str, arguments: list[str], reason: str) -> None:
    result = run(*arguments, address)

    assert 1 == result.exit_code
    assert "" == result.stdout
    assert result.stderr.startswith(f"error: {reason}: ")
    assert 1 == len(result.stderr.splitlines())


@pytest.mark.parametrize(
    ("arguments", "reason"), ERRORS, ids=[" ".join(arguments) for arguments, _ in ERRORS]
)
def test_an_error_is_told_to_programs_as_json(address: str, arguments: list[str], reason: str) -> None:
    result = run(*arguments, address, "--json")
    told = json.loads(result.stderr)["error"]

    assert 1 == result.exit_code
    assert "" == result.stdout
    assert reason == told["reason"]
    assert {"reason", "message", "metadata"} == set(told)


def test_an_error_names_what_to_look_at(address: str) -> None:
    assert "(app=nosuch)" in run("token", "get", "nosuch", address).stderr
    told = json.loads(run("token", "get", "crm", "--corp", "ww 9", address, "--json").stderr)

    assert "target.corp_id" == told["error"]["metadata"]["field"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["token", "get", "crm"],
        ["token", "watch", "crm"],
        ["shares", "list", "crm"],
        ["shares", "sync", "crm"],
    ],
    ids=" ".join,
)
def test_an_address_where_nobody_listens_is_told_soon(arguments: list[str]) -> None:
    address = f"127.0.0.1:{free_port()}"
    began = time.monotonic()
    result = run(*arguments, "--address", address)

    assert 1 == result.exit_code
    assert result.stderr.startswith(f"error: BROKER_UNREACHABLE: no answer from the broker at {address}: ")
    assert result.stderr.endswith("; is it running? see --address, and --ca where it has TLS\n")
    check_took(time.monotonic() - began, 9)


@pytest.mark.parametrize("address", ["nosuchhost.invalid:1", ":::", "unix:///no/such.sock"])
def test_an_address_that_is_none_is_told(address: str) -> None:
    result = run("token", "get", "crm", "--address", address)

    assert 1 == result.exit_code
    assert result.stderr.startswith("error: BROKER_UNREACHABLE: ")


@pytest.mark.parametrize("token", ["a\nb", "é", "a\x7f"])
def test_a_bearer_token_that_cannot_be_sent_is_told_without_showing_it(address: str, token: str) -> None:
    result = run("token", "get", "crm", address, WECOM_BROKER_TOKEN=token)

    assert 1 == result.exit_code
    assert result.stderr.startswith("error: WECOM_BROKER_TOKEN: ")
    assert token not in result.output


@pytest.mark.parametrize("content", [b"", b"\n", b"\xef\xbb\xbf"])
def test_an_empty_token_file_is_named_and_no_other_token_is_used(
    address: str, tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    result = run("token", "get", "crm", "--token", str(file), address, WECOM_BROKER_TOKEN="another")

    assert (2, f"error: --token: {file} is empty\n") == (result.exit_code, result.stderr)


def test_an_error_names_the_file_that_the_token_comes_from(address: str, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_bytes("é".encode())
    unsendable = run("token", "get", "crm", "--token", str(file), address)
    file.write_bytes(b"secret")
    readable = run("token", "get", "crm", "--token", str(file), "--address", "192.0.2.1:50051")

    assert (1, 1) == (unsendable.exit_code, readable.exit_code)
    assert unsendable.stderr.startswith(f"error: --token {file}: is not a bearer token")
    assert readable.stderr.startswith(f"error: --token {file} would be sent to 192.0.2.1:50051 without TLS")


def test_a_token_file_of_windows_is_read(address: str, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_bytes(b"\xef\xbb\xbftoken\r\n")

    assert 0 == run("token", "get", "crm", "--token", str(file), address).exit_code


# --- arguments that the client refuses


REFUSED = [
    (["token", "get", ""], "app must not be empty"),
    (["token", "watch", ""], "app must not be empty"),
    (["token", "write", "", "--to", "nowhere", "--once"], "app must not be empty"),
    (["sign", "", "https://crm.test/"], "app must not be empty"),
    (["token", "get", "\udcff"], "an argument is not text in UTF-8"),
    (["shares", "sync", "crm", "--parent", "\udcff"], "an argument is not text in UTF-8"),
    (["credentials", "\udcff"], "an argument is not text in UTF-8"),
    (["events", "tail", "--type", "\udcff"], "an argument is not text in UTF-8"),
    (["token", "get", "crm", "--address", "\udcff"], "an argument is not text in UTF-8"),
]


@pytest.mark.parametrize(
    ("arguments", "message"), REFUSED, ids=[" ".join(map(ascii, arguments)) for arguments, _ in REFUSED]
)
def test_an_argument_that_cannot_be_sent_is_told(
    playground: Playground, arguments: list[str], message: str
) -> None:
    result = run(*arguments, WECOM_BROKER_ADDRESS=playground.address)
    in_json = run(*arguments, "--json", WECOM_BROKER_ADDRESS=playground.address)
    told = {"reason": "INVALID_REQUEST", "message": message, "metadata": {}}

    assert (2, "", f"error: {message}\n") == (result.exit_code, result.stdout, result.stderr)
    assert (2, "", {"error": told}) == (in_json.exit_code, in_json.stdout, json.loads(in_json.stderr))


# --- shares


def test_shares_are_listed_one_a_line(address: str) -> None:
    result = run("shares", "list", "crm", address)

    assert 0 == result.exit_code
    assert 6 == len(result.stdout.splitlines())
    assert f"{CHILD} 1000010 corp_group 华东公司".split() in [
        line.split() for line in result.stdout.splitlines()
    ]


def test_shares_are_listed_by_kind(address: str) -> None:
    (line,) = run("shares", "list", "crm", "--share-kind", "supply_chain", address).stdout.splitlines()

    assert SUPPLIER == line.split()[0]


def test_shares_come_as_json_a_line_for_programs(address: str) -> None:
    told = [json.loads(line) for line in run("shares", "list", "crm", address, "--json").stdout.splitlines()]

    assert {
        "app": "crm",
        "corp_id": CHILD,
        "corp_name": "华东公司",
        "agent_id": 1000010,
        "share_kind": "corp_group",
        "parent_corp_id": PARENT.corpid,
    } in told


def test_a_sync_shows_what_changed(playground: Playground, address: str) -> None:
    run("shares", "list", "crm", address)
    newcomer = AppId("ww1newcomer", 1000099)
    playground.world.share(PARENT, newcomer, corp_name="新公司")

    came = run("shares", "sync", "crm", address).stdout.splitlines()
    # Whoever syncs within a cooldown gets the same listing; the broker goes by a clock of its own.
    time.sleep(RefreshPolicy().cooldown.total_seconds() + 1)
    playground.world.unshare(PARENT, newcomer)
    went = run("shares", "sync", "crm", address).stdout.splitlines()

    assert ["+", "ww1newcomer", "1000099", "corp_group", "新公司"] == came[0].split()
    assert "1 added, 0 removed, 6 unchanged" == came[1]
    assert ["-", "ww1newcomer", "1000099", "corp_group", "新公司"] == went[0].split()
    assert "0 added, 1 removed, 6 unchanged" == went[1]


def test_a_sync_tells_programs_json(address: str) -> None:
    told = json.loads(run("shares", "sync", "crm", address, "--json").stdout)

    assert {"added": [], "removed": [], "unchanged_count": 6} == told


# --- token watch


def test_a_watch_shows_the_token_at_once_and_ends_with_ctrl_c(playground: Playground, address: str) -> None:
    with process("token", "watch", "crm", "--corp", CHILD, "--json", address) as watching:
        assert watching.stdout
        first = json.loads(watching.stdout.readline())
        code, rest, error = interrupted(watching)

    assert CHILD == first["corp_id"]
    assert "…" in first["value"]
    assert (130, "", "") == (code, rest, error)


@pytest.mark.slow
def test_a_watch_shows_each_rotation(playground: Playground, address: str) -> None:
    child = "ww1child000000002"
    with process("token", "watch", "crm", "--corp", child, "--json", "--reveal", address) as watching:
        assert watching.stdout
        first = json.loads(watching.stdout.readline())
        playground.world.settings.token_lifetime = 3.0
        _rotate(playground, child)
        second = json.loads(watching.stdout.readline())
        third = json.loads(watching.stdout.readline())
        playground.world.settings.token_lifetime = 7200.0
        interrupted(watching)

    assert first["generation"] < second["generation"] < third["generation"]
    assert 3 == len({first["value"], second["value"], third["value"]})


def _rotate(playground: Playground, child: str) -> None:
    with Broker(playground.address) as broker:
        broker.rejected(broker.access_token("crm", corp=child), 40014)

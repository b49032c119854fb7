"""`wecom-broker suites`, run against a fake broker."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import grpc
import pytest
from click.testing import CliRunner, Result
from wecom_broker.v1 import app_share_service_pb2 as shares_pb
from wecom_broker.v1 import suite_service_pb2 as pb

from broker.cli import main
from tests.client.fake_broker import FakeBroker, Refusal
from tests.client.services.test_suites import MESSAGE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BACK = "https://market.test/installed"
LOST = pb.Authorization(
    app="market",
    state=pb.AUTHORIZATION_STATE_LOST,
    install_state="st2",
    install_time=MESSAGE.install_time,
    update_time=MESSAGE.update_time,
    problem="the answer was lost: install the app again",
    installation_id="c0de",
)


@pytest.fixture
async def fake() -> AsyncIterator[FakeBroker]:
    """A running fake broker, which knows of one authorisation and of one lost code."""
    async with FakeBroker() as fake:
        active = pb.Authorization()
        active.CopyFrom(MESSAGE)
        active.problem = ""
        fake.suite_authorizations = [active, LOST]
        yield fake


async def suites(fake: FakeBroker, *arguments: str) -> Result:
    return await asyncio.to_thread(
        CliRunner().invoke, main, ["suites", *arguments, "--address", fake.address]
    )


async def test_authorisations_are_listed_one_a_line(fake: FakeBroker):
    shown = await suites(fake, "list", "market")
    first, second = shown.stdout.splitlines()

    assert 0 == shown.exit_code
    assert ["wpA", "1000012", "active", "2026-03-02T12:00:00+00:00", "总部"] == first.split()
    assert ["-", "lost", "2026-03-02T12:00:00+00:00"] == second.split()[:3]
    assert second.endswith("(the answer was lost: install the app again)")


async def test_all_pages_are_listed(fake: FakeBroker):
    fake.suite_authorizations = [MESSAGE] * 5
    shown = await suites(fake, "list", "market")

    assert 5 == len(shown.stdout.splitlines())


async def test_authorisations_come_as_json_a_line_for_programs(fake: FakeBroker):
    first, second = (
        json.loads(line) for line in (await suites(fake, "list", "market", "--json")).stdout.splitlines()
    )

    assert {
        "app",
        "corp_id",
        "corp_name",
        "state",
        "agents",
        "auth_mode",
        "installer_user_id",
        "install_state",
        "install_time",
        "update_time",
        "problem",
        "installation_id",
    } == set(first)
    assert ("wpA", "active", "admin") == (first["corp_id"], first["state"], first["auth_mode"])
    assert "2026-03-02T12:00:00+00:00" == first["install_time"]
    (agent,) = first["agents"]
    assert {"corp_id": "wpP", "share_kind": "corp_group"} == agent["shared_from"]
    assert {"name": "b", "expire_time": "2030-01-02T03:04:05+00:00"} == agent["permissions"][1]
    assert ("", "lost", [], None) == tuple(
        second[name] for name in ("corp_id", "state", "agents", "auth_mode")
    )


async def test_one_is_shown_in_full(fake: FakeBroker):
    shown = await suites(fake, "show", "market", "wpA")

    assert 0 == shown.exit_code
    assert [pb.GetAuthorizationRequest(app="market", corp_id="wpA")] == fake.requests
    assert (
        "corp_id        wpA\n"
        "corp_name      总部\n"
        "state          active\n"
        "auth_mode      admin\n"
        "installer      zhangsan\n"
        "install_state  st1\n"
        "install_time   2026-03-02T12:00:00+00:00\n"
        "update_time    2026-03-02T13:00:00+00:00\n"
        "agent          1000012  排班助手\n"
        "  shared_from  wpP  corp_group\n"
        "  edition      标准版, 50 users, until 2030-01-02T03:04:05+00:00, paid by another corp\n"
        "  permission   a\n"
        "  permission   b  until 2030-01-02T03:04:05+00:00\n"
    ) == shown.stdout


async def test_one_is_shown_to_programs(fake: FakeBroker):
    shown = await suites(fake, "show", "market", "wpA", "--json")

    assert "wpA" == json.loads(shown.stdout)["corp_id"]


async def test_one_may_be_read_at_wecom_first(fake: FakeBroker):
    assert 0 == (await suites(fake, "show", "market", "wpA", "--refresh")).exit_code
    assert [pb.RefreshAuthorizationRequest(app="market", corp_id="wpA")] == fake.requests


async def test_a_state_that_is_newer_than_this_command_is_unknown(fake: FakeBroker):
    fake.suite_authorizations = [pb.Authorization(app="market", corp_id="wpA", state=99)]

    assert "state          unknown" in (await suites(fake, "show", "market", "wpA")).stdout


async def test_a_link_is_made_with_the_state_to_compare(fake: FakeBroker):
    shown = await suites(fake, "install-url", "market", "--redirect-uri", BACK)

    assert 0 == shown.exit_code
    assert (
        "https://wecom.test/install?state=made\nstate        made\nexpire_time  2030-01-02T03:04:05+00:00\n"
    ) == shown.stdout


async def test_a_link_may_install_for_a_test_with_a_state_of_one_s_own(fake: FakeBroker):
    options = ["--redirect-uri", BACK, "--state", "mine", "--test", "--json"]
    shown = json.loads((await suites(fake, "install-url", "market", *options)).stdout)

    assert {
        "url": "https://wecom.test/install?state=mine",
        "state": "mine",
        "expire_time": "2030-01-02T03:04:05+00:00",
    } == shown
    assert [
        pb.BuildInstallUrlRequest(app="market", redirect_uri=BACK, state="mine", test_install=True)
    ] == fake.requests


@pytest.mark.parametrize(
    ("method", "arguments", "code", "reason"),
    [
        ("ListAuthorizations", ["list", "nosuch"], grpc.StatusCode.NOT_FOUND, "UNKNOWN_APP"),
        ("GetAuthorization", ["show", "market", "wpZ"], grpc.StatusCode.NOT_FOUND, "CORP_NOT_AUTHORIZED"),
        (
            "BuildInstallUrl",
            ["install-url", "market", "--redirect-uri", BACK],
            grpc.StatusCode.FAILED_PRECONDITION,
            "SUITE_TICKET_MISSING",
        ),
    ],
)
async def test_a_refusal_is_told_by_its_reason(
    fake: FakeBroker, method: str, arguments: list[str], code: grpc.StatusCode, reason: str
):
    fake.refusals[method] = Refusal(code, reason)
    shown, told = await suites(fake, *arguments), await suites(fake, *arguments, "--json")

    assert (1, "", 1, "") == (shown.exit_code, shown.stdout, told.exit_code, told.stdout)
    assert shown.stderr.startswith(f"error: {reason}: ")
    assert reason == json.loads(told.stderr)["error"]["reason"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["suites", "list", "market"],
        ["suites", "show", "market", "wpA"],
        ["shares", "list", "market", "--parent", "wpP"],
        ["shares", "sync", "market", "--parent", "wpP"],
    ],
)
async def test_a_terminal_is_not_at_the_mercy_of_other_companies_names(
    fake: FakeBroker, arguments: list[str]
):
    name = "\x1b[2J\r\n总部"
    permission, edition = pb.Permission(name=name), pb.Edition(edition_name=name)
    agent = pb.AuthorizedAgent(agent_id=7, name=name, permissions=[permission], edition=edition)
    fake.suite_authorizations = [
        pb.Authorization(app="market", corp_id="wpA", corp_name=name, problem=name, agents=[agent])
    ]
    fake.shares = [shares_pb.AppShare(app="market", corp_id="wpA", corp_name=name)]
    shown = await asyncio.to_thread(CliRunner().invoke, main, [*arguments, "--address", fake.address])

    assert 0 == shown.exit_code
    assert r"\x1b[2J\r\n总部" in shown.stdout
    assert {"\n"} == {letter for letter in shown.stdout if not letter.isprintable()}
    assert all("总部" not in line or r"\x1b[2J" in line for line in shown.stdout.splitlines())


async def test_a_terminal_is_not_at_the_mercy_of_what_an_error_repeats(fake: FakeBroker):
    said = Refusal(grpc.StatusCode.NOT_FOUND, "UNKNOWN_APP", "\x1b[2J", metadata={"corp_id": "\x1b[3J"})
    fake.refusals["ListAuthorizations"] = said
    shown = await suites(fake, "list", "market")

    assert r"UNKNOWN_APP: \x1b[2J (corp_id=\x1b[3J)" in shown.stderr
    assert "\x1b" not in shown.stderr


@pytest.mark.parametrize(
    ("verb", "request_type"),
    [("list", shares_pb.ListAppSharesRequest), ("sync", shares_pb.SyncAppSharesRequest)],
)
async def test_the_shares_of_a_suite_are_those_of_the_corp_that_is_named(
    fake: FakeBroker, verb: str, request_type: type[shares_pb.ListAppSharesRequest]
):
    fake.shares = [shares_pb.AppShare(app="market", corp_id="wpA", agent_id=7, parent_corp_id="wpP")]
    arguments = ["shares", verb, "market", "--parent", "wpP", "--json", "--address", fake.address]
    shown = await asyncio.to_thread(CliRunner().invoke, main, arguments)
    told = json.loads(shown.stdout)
    (share,) = told["added"] if verb == "sync" else [told]

    assert 0 == shown.exit_code
    assert [request_type(app="market", parent_corp_id="wpP")] == fake.requests
    assert ("wpA", "wpP") == (share["corp_id"], share["parent_corp_id"])


@pytest.mark.parametrize("encoding", ["gbk", "cp1252", "ascii"])
async def test_json_is_json_where_stdout_is_not_utf_8(
    fake: FakeBroker, monkeypatch: pytest.MonkeyPatch, encoding: str
):
    fake.suite_authorizations[0].corp_name = "总部 café 😀"
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    command = [sys.executable, "-m", "broker", "suites", "list", "market", "--json"]
    command += ["--address", fake.address]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=True)

    assert "总部 café 😀" == json.loads(done.stdout.splitlines()[0])["corp_name"]

"""`wecom-broker sign`, run against a fake broker."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import grpc
import pytest
from click.testing import CliRunner, Result
from wecom_broker import ShareKind, Target

from broker.cli import main
from tests.client.fake_broker import FakeBroker, Refusal
from tests.client.fake_services import AGENT_NONCE, CORP_NONCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

URL = "https://crm.test/page?a=1"


@pytest.fixture
async def fake() -> AsyncIterator[FakeBroker]:
    """A running fake broker."""
    async with FakeBroker() as fake:
        yield fake


async def sign(fake: FakeBroker, *arguments: str) -> Result:
    command = ["sign", "crm", URL, "--address", fake.address, *arguments]
    return await asyncio.to_thread(CliRunner().invoke, main, command)


async def test_both_signatures_are_shown_to_be_read(fake: FakeBroker):
    shown = await sign(fake, "--corp", "ww1")

    assert 0 == shown.exit_code
    assert (
        f"config\n"
        f"  corp_id      ww1\n"
        f"  timestamp    1900000000\n"
        f"  nonce_str    {CORP_NONCE}\n"
        f"  signature    corp ticket, {URL}\n"
        f"  generation   3\n"
        f"agent_config\n"
        f"  agent_id     1000002\n"
        f"  corp_id      ww1\n"
        f"  timestamp    1900000000\n"
        f"  nonce_str    {AGENT_NONCE}\n"
        f"  signature    agent ticket, {URL}\n"
        f"  generation   4\n"
    ) == shown.stdout


async def test_programs_get_json(fake: FakeBroker):
    shown = json.loads((await sign(fake, "--json")).stdout)

    assert {"config", "agent_config"} == set(shown)
    assert f"corp ticket, {URL}" == shown["config"]["signature"]
    assert (1000002, 4) == (shown["agent_config"]["agent_id"], shown["agent_config"]["generation"])


async def test_the_target_is_chosen_as_for_a_token(fake: FakeBroker):
    await sign(fake, "--corp", "ww1", "--share-kind", "supply_chain", "--agent-id", "7")

    assert Target("crm", "ww1", ShareKind.SUPPLY_CHAIN, 7).to_proto() == fake.requests[-1].target
    assert URL == fake.requests[-1].url


async def test_a_refusal_is_told_by_its_reason_and_ends_with_1(fake: FakeBroker):
    fake.refusals["SignPage"] = Refusal(
        grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST", "must be http", metadata={"field": "url"}
    )
    told = await sign(fake)
    told_as_json = await sign(fake, "--json")

    assert (1, "") == (told.exit_code, told.stdout)
    assert "error: INVALID_REQUEST: must be http (field=url)\n" == told.stderr
    assert 1 == told_as_json.exit_code
    assert {
        "error": {"reason": "INVALID_REQUEST", "message": "must be http", "metadata": {"field": "url"}}
    } == json.loads(told_as_json.stderr)

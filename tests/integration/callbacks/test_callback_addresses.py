"""Callbacks from elsewhere than WeCom are refused, where the configuration says so."""

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from broker.simulator import Delay, HttpStatus
from tests.integration.acting.acting import APP
from tests.integration.callbacks.test_callbacks import ANSWERED_WITHIN
from tests.kit.callbacks.attacks import query_of, sealed
from tests.kit.callbacks.endpoint import callback_door, text
from tests.kit.time_bounds import check_took


@pytest.mark.parametrize(
    ("trusted", "told", "status"),
    [
        ([], None, 200),
        ([], "203.0.113.66", 200),
        (["127.0.0.0/8"], None, 200),
        (["127.0.0.0/8"], "203.0.113.66", 403),
        (["127.0.0.0/8"], "127.0.0.1", 200),
        (["127.0.0.0/8"], "::1, 203.0.113.66", 403),
        (["127.0.0.0/8"], "203.0.113.66, ::1", 200),
        (["127.0.0.0/8"], "junk", 403),
        (["10.0.0.0/8"], "203.0.113.66", 200),
    ],
)
async def test_a_sender_is_checked_as_far_as_proxies_are_trusted(
    tmp_path: Path, trusted: list[str], told: str | None, status: int
) -> None:
    async with callback_door(tmp_path, {"check_sender": True}, server={"trusted_proxies": trusted}) as door:
        headers = {"X-Forwarded-For": told} if told else {}
        query, body = door.sender.envelope(text())
        session, url = door.sender.session, door.sender.url
        for _ in range(3):
            async with session.post(url, params=query, data=body, headers=headers) as answer:
                assert status == answer.status
        echo = await session.get(url, params=echoing(), headers=headers)

        assert status == echo.status
        assert 1 == door.world.log.calls("/cgi-bin/getcallbackip")
        assert door.counted()[APP, "sender"] == (4 if status == 403 else 0)


def echoing() -> dict[str, str]:
    encrypted = sealed(b"1616140317555161061")
    return {**query_of(encrypted), "echostr": encrypted}


@pytest.mark.parametrize("fault", [HttpStatus(502), Delay(30)])
async def test_where_wecom_is_cannot_be_learned_and_everybody_is_heard_in_time(
    tmp_path: Path, fault: Any
) -> None:
    server = {"trusted_proxies": ["127.0.0.1"]}
    async with callback_door(tmp_path, {"check_sender": True}, server=server) as door:
        door.world.faults.add("*", fault)
        status, _, seconds = await door.sender.post(text("wwStranger"))

        assert 200 == status
        check_took(seconds, ANSWERED_WITHIN - 0.5)


@pytest.mark.parametrize(("trusted", "status"), [(["127.0.0.1"], 403), ([], 200)])
async def test_a_proxy_before_a_socket_file_is_trusted_as_one_of_this_machine(
    tmp_path: Path, trusted: list[str], status: int
) -> None:
    path = tmp_path / "http.sock"
    server = {"trusted_proxies": trusted, "http": f"unix://{path}"}
    async with (
        callback_door(tmp_path, {"check_sender": True}, server=server) as door,
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session,
    ):
        query, body = door.sender.envelope(text())
        for told, expected in (("127.0.0.1", 200), ("203.0.113.66", status)):
            headers = {"X-Forwarded-For": told}
            url = f"http://broker/callback/{APP}"
            async with session.post(url, params=query, data=body, headers=headers) as answer:
                assert expected == answer.status

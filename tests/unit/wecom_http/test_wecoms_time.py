"""What time it is at WeCom: from the `Date` of its answers, or asked for where clocks disagree."""

import pytest
from aiohttp import web

from broker.domain.errors import WecomUnavailable
from tests.kit.processes.ports import free_port
from tests.unit.wecom_http.recorders import GETTOKEN, Surroundings, app, serving

DATE, SECONDS = "Sun, 06 Nov 1994 08:49:37 GMT", 784111777.0
DATELESS = ["", "soon", "Sun, 99 Nov 1994 08:49:37 GMT"]


def dated(date: str) -> tuple[web.Application, list[str]]:
    """Return a WeCom that is at that date, and the requests that it gets."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(f"{request.method} {request.path}")
        body = {"errcode": 0, "access_token": "a-token-of-wecom", "expires_in": 7200}
        found = request.path == GETTOKEN
        return web.json_response(body, status=200 if found else 404, headers={"Date": date})

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    return application, asked


async def test_each_answer_tells_the_time(around: Surroundings) -> None:
    application, _ = dated(DATE)
    async with serving(application) as url, around.wecom(url) as wecom:
        await wecom.fetch_app_token(app())

    assert [SECONDS] == around.times


@pytest.mark.parametrize("date", DATELESS)
async def test_a_date_that_cannot_be_read_is_no_time_and_spoils_no_answer(
    around: Surroundings, date: str
) -> None:
    application, _ = dated(date)
    async with serving(application) as url, around.wecom(url) as wecom:
        assert "a-token-of-wecom" == (await wecom.fetch_app_token(app())).value.reveal()

    assert [] == around.times


async def test_wecom_is_asked_for_the_time_by_a_request_that_is_no_call_of_an_api(
    around: Surroundings,
) -> None:
    application, asked = dated(DATE)
    async with serving(application) as url, around.wecom(url) as wecom:
        assert SECONDS == await wecom.client.seconds()

    assert ["HEAD /"] == asked
    assert [] == around.gate.told
    assert [] == around.observer.calls


@pytest.mark.parametrize("date", DATELESS)
async def test_who_asks_and_hears_no_time_is_told(around: Surroundings, date: str) -> None:
    application, _ = dated(date)
    async with serving(application) as url, around.wecom(url) as wecom:
        with pytest.raises(WecomUnavailable, match="no Date"):
            await wecom.client.seconds()


async def test_who_asks_a_wecom_that_is_away_is_told(around: Surroundings) -> None:
    async with around.wecom(f"http://127.0.0.1:{free_port()}") as wecom:
        with pytest.raises(WecomUnavailable, match="ClientConnectorError"):
            await wecom.client.seconds()

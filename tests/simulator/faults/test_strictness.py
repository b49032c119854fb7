"""What is refused before an endpoint does anything."""

import re

import aiohttp
import pytest

from broker.simulator import Settings, World, demo, demo_world, running_simulator
from broker.simulator.endpoints import ENDPOINTS
from broker.simulator.world.tokens import AppToken
from tests.simulator.caller import AGENT_GET, CHILD_TOKEN, GETTOKEN, LIST_SHARES, Caller

WITH_TOKEN = [path for path, endpoint in ENDPOINTS.items() if endpoint.token]
POSTS = [
    path
    for path, endpoint in ENDPOINTS.items()
    if endpoint.method == "POST"
    and not endpoint.form_bytes
    and not endpoint.bodyless
    and endpoint.token in (None, AppToken)
]


@pytest.mark.parametrize("path", ENDPOINTS)
async def test_the_wrong_method_is_refused(wecom: Caller, path: str) -> None:
    method = "GET" if ENDPOINTS[path].method == "POST" else "POST"
    refusal = await wecom.request(method, path, access_token=await wecom.token())

    assert 40058 == refusal["errcode"]
    assert "wrong http method" in refusal["errmsg"]


@pytest.mark.parametrize("path", WITH_TOKEN)
async def test_a_missing_token_is_told_from_a_wrong_one(wecom: Caller, path: str) -> None:
    method, kind = ENDPOINTS[path].method, ENDPOINTS[path].token
    missing, invalid = (41001, 40014) if kind is AppToken else (41022, 40082)
    assert kind

    assert missing == (await wecom.request(method, path))["errcode"]
    assert missing == (await wecom.request(method, path, **{kind.query_name: ""}))["errcode"]
    assert invalid == (await wecom.request(method, path, **{kind.query_name: "invented"}))["errcode"]


async def test_a_token_in_the_body_is_a_missing_token(wecom: Caller) -> None:
    body = {"access_token": await wecom.token(), "agentid": 1000002}

    assert 41001 == (await wecom.post(LIST_SHARES, body))["errcode"]


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("body", [b"", b"  \n"])
async def test_an_empty_body_is_refused(wecom: Caller, path: str, body: bytes) -> None:
    refusal = await wecom.request("POST", path, data=body, access_token=await wecom.token())

    assert 40063 == refusal["errcode"]


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("body", [b"agentid=1", b"[1]", b'"text"', b"\xff\xfe", b"[" * 100_000])
async def test_a_body_that_is_no_json_object_is_refused(wecom: Caller, path: str, body: bytes) -> None:
    refusal = await wecom.request("POST", path, data=body, access_token=await wecom.token())

    assert 40035 == refusal["errcode"]
    assert "wrong json format" in refusal["errmsg"]


@pytest.mark.parametrize("path", [LIST_SHARES, CHILD_TOKEN])
@pytest.mark.parametrize(
    ("fields", "errcode"),
    [
        ({"agentid": "1000002"}, 40056),
        ({"agentid": 1000002.0}, 40056),
        ({"agentid": True}, 40056),
        ({"business_type": "1"}, 40058),
        ({"business_type": 2}, 40058),
        ({"business_type": None}, 40058),
        ({"corpid": 7}, 40058),
    ],
)
async def test_mistyped_fields_are_refused(
    wecom: Caller, path: str, fields: dict[str, object], errcode: int
) -> None:
    body = {"corpid": "ww1child000000001", "agentid": 1000002, **fields}

    assert errcode == (await wecom.post(path, body, access_token=await wecom.token()))["errcode"]


async def test_a_body_that_is_too_large_is_not_read() -> None:
    world = demo_world(settings=Settings(max_body_bytes=1000))
    async with (
        running_simulator(world) as url,
        aiohttp.ClientSession(url) as session,
        session.post(LIST_SHARES, data=b" " * 1001) as response,
    ):
        assert 413 == response.status


async def test_an_unknown_path_is_not_found(wecom: Caller) -> None:
    async with wecom.session.get("/cgi-bin/nothing") as response:
        assert 404 == response.status


async def test_a_refusal_is_worded_as_wecom_words_it(wecom: Caller) -> None:
    message = (await wecom.get(AGENT_GET))["errmsg"]
    tail = r"hint: \[\d+\], from ip: 127\.0\.0\.1, more info at https://\S+/devtool/query\?e=41001"

    assert re.fullmatch(rf"access_token missing, {tail}", message)


async def test_errcode_can_be_left_out_of_a_success(wecom: Caller, world: World) -> None:
    assert 0 == (await wecom.gettoken())["errcode"]

    world.settings.omit_errcode.add(GETTOKEN)

    assert {"access_token", "expires_in"} == set(await wecom.gettoken())
    assert 40013 == (await wecom.gettoken(corpid="ww0nobody"))["errcode"]


async def test_a_dissolved_corp_is_unavailable(wecom: Caller, world: World) -> None:
    token = await wecom.token()
    world.add_corp(demo.PARENT.corpid, "示例集团").dissolved = True

    assert 301007 == await wecom.probe(token)


async def test_a_disabled_app_is_refused_with_and_without_a_token(wecom: Caller, world: World) -> None:
    token = await wecom.token()
    world.app(*demo.PARENT).enabled = False

    assert 50003 == await wecom.probe(token)
    assert 50003 == (await wecom.gettoken())["errcode"]


async def test_an_address_that_is_not_trusted_is_refused(wecom: Caller, world: World) -> None:
    token = await wecom.token()
    world.app(*demo.PARENT).trusted_ips = frozenset({"203.0.113.7"})

    assert 60020 == await wecom.probe(token)
    assert "from ip: 127.0.0.1" in (await wecom.gettoken())["errmsg"]

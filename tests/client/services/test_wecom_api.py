"""WeCom's other interfaces."""

from __future__ import annotations

import json
from datetime import timedelta

import grpc
import pytest
from wecom_broker import ApiAnswer, Broker, HttpMethod, ShareKind, Target
from wecom_broker.errors import CallerNotAllowed, DeadlineExceeded
from wecom_broker.v1 import wecom_api_service_pb2 as pb

from tests.client.fake_broker import FakeBroker, Refusal

PATH = "/cgi-bin/user/get"


async def test_an_answer_comes_as_it_is_whatever_its_errcode(fake: FakeBroker, either: Broker):
    fake.api_answer = pb.CallApiResponse(errcode=60111, errmsg="userid not found", body=b'{"errcode":60111}')
    answer = await either.call("crm", PATH, query={"userid": "zhang"})

    assert ApiAnswer(60111, "userid not found", b'{"errcode":60111}') == answer
    assert {"errcode": 60111} == answer.json()
    assert [
        pb.CallApiRequest(target=Target("crm").to_proto(), path=PATH, query={"userid": "zhang"})
    ] == fake.requests


async def test_the_target_is_chosen_as_for_a_token(fake: FakeBroker, either: Broker):
    await either.call("crm", PATH, corp="ww1", share_kind="supply_chain", agent_id=7)

    assert Target("crm", "ww1", ShareKind.SUPPLY_CHAIN, 7).to_proto() == fake.requests[-1].target


async def test_a_mapping_goes_as_json_and_chinese_as_it_is(fake: FakeBroker, either: Broker):
    await either.call("crm", "/cgi-bin/message/send", body={"text": {"content": "你好"}, "safe": 0})

    assert '{"text": {"content": "你好"}, "safe": 0}'.encode() == fake.requests[-1].body


async def test_an_empty_mapping_is_a_body(fake: FakeBroker, either: Broker):
    await either.call("crm", "/cgi-bin/agent/list", body={})

    assert b"{}" == fake.requests[-1].body


async def test_bytes_go_as_they_are(fake: FakeBroker, either: Broker):
    await either.call("crm", PATH, body=b"\x00\xff")

    assert b"\x00\xff" == fake.requests[-1].body


@pytest.mark.parametrize("body", ["text", ["list"], 1])
async def test_another_body_is_refused_before_anything_is_sent(
    fake: FakeBroker, either: Broker, body: object
):
    with pytest.raises(TypeError, match="body must be"):
        await either.call("crm", PATH, body=body)
    assert not fake.calls


@pytest.mark.parametrize(
    ("method", "number"),
    [
        (None, pb.HTTP_METHOD_UNSPECIFIED),
        ("GET", pb.HTTP_METHOD_GET),
        (HttpMethod.POST, pb.HTTP_METHOD_POST),
    ],
)
async def test_the_method_is_the_brokers_choice_unless_named(
    fake: FakeBroker, either: Broker, method: str | None, number: int
):
    await either.call("crm", PATH, method=method)

    assert number == fake.requests[-1].method


async def test_numbers_and_flags_go_into_a_query_as_wecom_has_them(fake: FakeBroker, either: Broker):
    await either.call("crm", PATH, query={"department_id": 1, "fetch_child": True, "name": "张"})

    assert {"department_id": "1", "fetch_child": "1", "name": "张"} == dict(fake.requests[-1].query)


async def test_an_answer_that_is_no_json_says_so_only_when_it_is_parsed(fake: FakeBroker, either: Broker):
    fake.api_answer = pb.CallApiResponse(body=b"\x89PNG")
    answer = await either.call("crm", PATH)

    assert b"\x89PNG" == answer.body
    with pytest.raises(ValueError, match="decode"):
        answer.json()


async def test_an_answer_shows_no_body(fake: FakeBroker, either: Broker):
    fake.api_answer = pb.CallApiResponse(errmsg="ok", body=json.dumps({"mobile": "13800000000"}).encode())

    assert "ApiAnswer(errcode=0, errmsg='ok')" == repr(await either.call("crm", PATH))


async def test_a_path_that_is_not_allowed_is_told(fake: FakeBroker, either: Broker):
    fake.refusals["CallApi"] = Refusal(
        grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_ALLOWED", metadata={"path": PATH}
    )

    with pytest.raises(CallerNotAllowed) as caught:
        await either.call("crm", PATH)
    assert {"path": PATH} == caught.value.metadata


async def test_a_call_can_have_a_deadline_of_its_own(fake: FakeBroker, either: Broker):
    fake.hold()

    with pytest.raises(DeadlineExceeded):
        await either.call("crm", PATH, timeout=timedelta(milliseconds=50))
    fake.release()


async def test_a_call_can_take_longer_than_the_clients_deadline(fake: FakeBroker):
    fake.hold()
    async with Broker(fake.address, timeout=timedelta(milliseconds=50)) as broker:
        with pytest.raises(DeadlineExceeded):
            await broker.call("crm", PATH)
        fake.release()
        assert 0 == (await broker.call("crm", PATH, timeout=timedelta(seconds=5))).errcode

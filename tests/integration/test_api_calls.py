"""Any interface of WeCom, called in the name of a parent or child."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import pytest

from broker.simulator.demo import PARENT
from tests.integration.acting import CHILD, CHILD_AGENT, Acting, acting, reason_of, target
from wecom_broker.v1 import token_service_pb2 as token_pb
from wecom_broker.v1 import token_service_pb2_grpc as token_grpc
from wecom_broker.v1 import wecom_api_service_pb2 as pb


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Acting]:
    async with acting(tmp_path) as found:
        yield found


async def call(running: Acting, corp_id: str, path: str, **query: str) -> pb.CallApiResponse:
    return await running.api.CallApi(pb.CallApiRequest(target=target(corp_id), path=path, query=query))


async def token_of(running: Acting, corp_id: str) -> str:
    request = token_pb.GetAccessTokenRequest(target=target(corp_id))
    return (await token_grpc.TokenServiceStub(running.channel).GetAccessToken(request)).token.value


async def test_a_childs_member_is_read_with_the_childs_token_only(running: Acting) -> None:
    by_child = await call(running, CHILD, "/cgi-bin/user/get", userid="lisi")
    by_parent = await call(running, "", "/cgi-bin/user/get", userid="lisi")

    assert (0, "李四") == (by_child.errcode, json.loads(by_child.body)["name"])
    assert 0 != by_parent.errcode


async def test_the_childs_own_agent_is_read_with_the_childs_token(running: Acting) -> None:
    answer = await call(running, CHILD, "/cgi-bin/agent/get", agentid=str(CHILD_AGENT))

    assert (0, CHILD_AGENT) == (answer.errcode, json.loads(answer.body)["agentid"])


async def test_a_dead_token_is_replaced_and_the_call_sent_once_more(running: Acting) -> None:
    await call(running, CHILD, "/cgi-bin/agent/get", agentid=str(CHILD_AGENT))
    running.world.kill(await token_of(running, CHILD))
    answer = await call(running, CHILD, "/cgi-bin/agent/get", agentid=str(CHILD_AGENT))

    assert 0 == answer.errcode
    assert 3 == running.world.calls("/cgi-bin/agent/get")


async def test_an_errcode_is_an_answer_and_comes_as_it_is(running: Acting) -> None:
    answer = await call(running, CHILD, "/cgi-bin/user/get", userid="nobody")

    assert 60111 == answer.errcode == json.loads(answer.body)["errcode"]


@pytest.mark.parametrize(("field", "message"), [
    ("path", pb.CallApiRequest(target=target(CHILD), path="/cgi-bin/gettoken")),
    ("path", pb.CallApiRequest(target=target(CHILD), path="/cgi-bin/../secret")),
    ("path", pb.CallApiRequest(target=target(CHILD), path="/cgi-bin/user/get?access_token=x")),
    ("path", pb.CallApiRequest(target=target(CHILD), path="https://evil.example/cgi-bin/user/get")),
    ("path", pb.CallApiRequest(target=target(CHILD), path="/cgi-bin/corpgroup/corp/gettoken")),
    ("query", pb.CallApiRequest(target=target(CHILD), path="/cgi-bin/user/get", query={"access_token": "x"})),
    ("body", pb.CallApiRequest(target=target(CHILD), path="/cgi-bin/user/get", body=b"x" * (1 << 20) + b"x")),
])  # fmt: skip
async def test_what_may_not_pass_is_refused_by_name(running: Acting, field: str, message: pb.CallApiRequest) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await running.api.CallApi(message)

    assert ("INVALID_REQUEST", field) == (reason_of(caught.value)[0], reason_of(caught.value)[1]["field"])


async def test_a_file_goes_up_and_comes_down_in_pieces(running: Acting) -> None:
    content = bytes(range(256)) * 4096  # 1 MiB

    def pieces() -> Iterator[pb.UploadMediaRequest]:
        yield pb.UploadMediaRequest(target=target(CHILD), type="file", file_name="报告.pdf")
        for start in range(0, len(content), 100_000):
            yield pb.UploadMediaRequest(chunk=content[start : start + 100_000])

    uploaded = await running.api.UploadMedia(pieces())
    stream = running.api.DownloadMedia(pb.DownloadMediaRequest(target=target(CHILD), media_id=uploaded.media_id))
    received = [message async for message in stream]

    assert 0 == uploaded.errcode
    assert "报告.pdf" == received[0].file_name
    assert content == b"".join(message.chunk for message in received)
    assert len(received) > 2, "in pieces"


async def test_a_media_id_that_wecom_does_not_know_is_an_error(running: Acting) -> None:
    stream = running.api.DownloadMedia(pb.DownloadMediaRequest(target=target(CHILD), media_id="nothing"))
    with pytest.raises(grpc.aio.AioRpcError):
        _ = [message async for message in stream]


async def test_no_token_is_in_an_answer_even_where_wecom_echoes_it(running: Acting) -> None:
    token = await token_of(running, CHILD)
    answer = await call(running, CHILD, "/cgi-bin/user/get", userid=token[:64])

    assert token.encode() not in answer.body
    assert PARENT.corpid.encode() not in answer.body

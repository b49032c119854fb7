"""Any interface of WeCom, called in the name of a parent or child."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import grpc
import pytest
from redis import Redis
from wecom_broker.v1 import token_service_pb2 as token_pb
from wecom_broker.v1 import token_service_pb2_grpc as token_grpc
from wecom_broker.v1 import wecom_api_service_pb2 as pb

from broker.adapters.wecom.redaction import cut_out
from broker.simulator.demo import PARENT
from broker.simulator.world.faults import Errcode, Fault, Hang, HttpStatus, Junk, JunkKind, Reset, Truncated
from tests.integration.acting.acting import (
    CHILD,
    CHILD_AGENT,
    Acting,
    acting,
    collected,
    reason_of,
    refusal_of,
    target,
)
from tests.kit.processes.fleet import until
from tests.kit.processes.redis_server import RedisServer


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
    assert 3 == running.world.log.calls("/cgi-bin/agent/get")


async def test_a_warm_call_asks_the_store_once(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis") as server:
        seal = [{"id": "k1", "key": base64.b64encode(bytes(32)).decode()}]
        async with acting(tmp_path, store={"url": server.url, "seal_keys": seal}) as running:
            await call(running, CHILD, "/cgi-bin/user/get", userid="lisi")
            with Redis.from_url(server.url) as redis:
                redis.config_resetstat()
                for _ in range(50):
                    await call(running, CHILD, "/cgi-bin/user/get", userid="lisi")
                asked = redis.info("stats")["total_reads_processed"]

    # Beside the calls, the broker looks after its store.
    assert 50 <= asked < 75


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
async def test_what_may_not_pass_is_refused_by_name(
    running: Acting, field: str, message: pb.CallApiRequest
) -> None:
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
    stream = running.api.DownloadMedia(
        pb.DownloadMediaRequest(target=target(CHILD), media_id=uploaded.media_id)
    )
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


USER_GET, SEND, UPLOAD, DOWNLOAD = (
    "/cgi-bin/user/get",
    "/cgi-bin/message/send",
    "/cgi-bin/media/upload",
    "/cgi-bin/media/get",
)


def get_user(running: Acting, corp_id: str = CHILD, **options: Any) -> Any:
    request = pb.CallApiRequest(target=target(corp_id), path=USER_GET, query={"userid": "lisi"})
    return running.api.CallApi(request, **options)


def post(running: Acting, path: str = SEND, body: bytes = b'{"touser":"lisi"}') -> Any:
    request = pb.CallApiRequest(target=target(CHILD), path=path, method=pb.HTTP_METHOD_POST, body=body)
    return running.api.CallApi(request)


def file_of(
    content: bytes, name: str = "a.bin", kind: str = "", size: int = 500_000
) -> Iterator[pb.UploadMediaRequest]:
    yield pb.UploadMediaRequest(target=target(CHILD), type="file", file_name=name, content_type=kind)
    for start in range(0, len(content), size):
        yield pb.UploadMediaRequest(chunk=content[start : start + size])


def upload(running: Acting, content: bytes = b"content", name: str = "a.bin", kind: str = "") -> Any:
    return running.api.UploadMedia(file_of(content, name, kind), timeout=30)


def download(running: Acting, media_id: str) -> Any:
    return running.api.DownloadMedia(
        pb.DownloadMediaRequest(target=target(CHILD), media_id=media_id), timeout=30
    )


async def content_of(running: Acting, media_id: str) -> bytes:
    return b"".join(message.chunk for message in await collected(download(running, media_id)))


@pytest.mark.parametrize(
    "form", ["{}", "https://qyapi.weixin.qq.com/cgi-bin/user/get?access_token={}&userid=x"]
)
async def test_a_token_that_wecom_echoes_is_cut_out_of_body_and_message(running: Acting, form: str) -> None:
    token = await token_of(running, CHILD)
    running.world.faults.add(USER_GET, Errcode(40058, form.format(token)), times=1)
    answer = await get_user(running)

    assert (40058, form.format("***")) == (answer.errcode, answer.errmsg.partition(", hint")[0])
    assert token.encode() not in answer.SerializeToString()


@pytest.mark.parametrize("value", ["abc-_1", "a+b/c==", "a b&c", "ü/%"])
def test_a_token_is_cut_out_in_every_form_in_which_a_url_or_json_shows_it(value: str) -> None:
    forms = [
        value,
        quote(value),
        quote(value, safe=""),
        quote(value, safe="").lower() if value == value.lower() else quote(value, safe=""),
        json.dumps(value)[1:-1],
        json.dumps(value)[1:-1].replace("/", "\\/"),
    ]
    echoed = " | ".join(forms).encode()

    assert b" | ".join([b"***"] * len(forms)) == cut_out(value, echoed)


async def test_an_answer_that_is_too_large_is_told_and_the_next_call_works(running: Acting) -> None:
    running.world.faults.add(USER_GET, Errcode(40058, "x" * (3 << 20)), times=1)
    reason, metadata = await refusal_of(get_user(running))

    assert ("ANSWER_TOO_LARGE", USER_GET, str(3 << 20)) == (
        reason, metadata["endpoint"], metadata["limit_bytes"],
    )  # fmt: skip
    assert 0 == (await get_user(running)).errcode


async def test_an_answer_just_small_enough_passes(running: Acting) -> None:
    running.world.faults.add(USER_GET, Errcode(40058, "x" * ((3 << 20) - 500)), times=1)

    assert 40058 == (await get_user(running)).errcode


async def test_the_callers_deadline_ends_the_call_to_wecom(running: Acting) -> None:
    await get_user(running)
    running.world.faults.add(USER_GET, Hang(), times=1)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await get_user(running, timeout=0.3)

    assert grpc.StatusCode.DEADLINE_EXCEEDED == caught.value.code()
    await until(lambda: running.world.log.in_flight(USER_GET) == 0, within=2)
    # An impatient caller closes the endpoint for nobody.
    assert 0 == (await get_user(running)).errcode


@pytest.mark.parametrize("fault", [Reset(), Reset(takes_effect=True), HttpStatus(502), Truncated()])
async def test_a_post_goes_out_once_whatever_happens_to_the_connection(running: Acting, fault: Fault) -> None:
    await post(running)
    before = running.world.log.calls(SEND)
    running.world.faults.add(SEND, fault, times=1)
    reason, _ = await refusal_of(post(running))

    assert ("WECOM_PROTOCOL" if isinstance(fault, Truncated) else "WECOM_UNAVAILABLE") == reason
    assert before + 1 == running.world.log.calls(SEND)


async def test_a_rate_limit_is_an_answer_first_and_closes_the_endpoint_for_that_corp(running: Acting) -> None:
    running.world.faults.add(USER_GET, Errcode(45009), times=1)
    first = await get_user(running)
    before = running.world.log.calls(USER_GET)
    reason, _ = await refusal_of(get_user(running))
    after = running.world.log.calls(USER_GET)
    other_corp = await call(running, "", USER_GET, userid="zhangsan")
    other_path = await call(running, CHILD, "/cgi-bin/agent/get", agentid=str(CHILD_AGENT))

    assert (45009, "RATE_LIMITED", before) == (first.errcode, reason, after)
    assert (0, 0) == (other_corp.errcode, other_path.errcode)


@pytest.mark.parametrize(
    ("method", "body", "sent"),
    [
        (pb.HTTP_METHOD_UNSPECIFIED, b"", "GET"),
        (pb.HTTP_METHOD_UNSPECIFIED, b"{}", "POST"),
        (pb.HTTP_METHOD_GET, b"", "GET"),
        (pb.HTTP_METHOD_POST, b"{}", "POST"),
        (pb.HTTP_METHOD_POST, b"", "POST"),
    ],
)
async def test_a_body_decides_between_get_and_post_where_the_caller_does_not(
    running: Acting, method: int, body: bytes, sent: str
) -> None:
    await running.api.CallApi(pb.CallApiRequest(target=target(CHILD), path=SEND, method=method, body=body))

    assert sent == running.world.log.records[-1].method


async def test_a_post_without_a_body_is_wecoms_to_judge_and_a_method_of_another_kind_is_not(
    running: Acting,
) -> None:
    empty = await post(running, body=b"")
    request = pb.CallApiRequest(target=target(CHILD), path=SEND, method=7)  # type: ignore[arg-type]
    reason, metadata = await refusal_of(running.api.CallApi(request))

    assert (40063, "INVALID_REQUEST", "method") == (empty.errcode, reason, metadata["field"])


async def test_an_answer_without_an_errcode_is_a_success(running: Acting) -> None:
    running.world.settings.omit_errcode.add(USER_GET)
    answer = await get_user(running)

    assert (0, "", False) == (answer.errcode, answer.errmsg, b"errcode" in answer.body)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        *((Junk(kind), "WECOM_PROTOCOL") for kind in JunkKind),
        (HttpStatus(403), "WECOM_PROTOCOL"),
        (HttpStatus(429), "RATE_LIMITED"),
        (HttpStatus(503), "WECOM_UNAVAILABLE"),
    ],
)
async def test_what_is_no_answer_is_told_as_what_it_is(running: Acting, fault: Fault, reason: str) -> None:
    media_id = (await upload(running)).media_id
    for path in (USER_GET, DOWNLOAD, UPLOAD):
        running.world.faults.add(path, fault, times=1)

    assert reason == (await refusal_of(get_user(running)))[0]
    assert reason == (await refusal_of(collected(download(running, media_id))))[0]
    assert reason == (await refusal_of(upload(running)))[0]


async def test_a_path_that_wecom_does_not_have_is_the_callers_mistake(running: Acting) -> None:
    media_id = (await upload(running)).media_id
    for path in (USER_GET, DOWNLOAD, UPLOAD):
        running.world.faults.add(path, HttpStatus(404), times=1)
    reason, metadata = await refusal_of(get_user(running))

    assert ("INVALID_REQUEST", "path", "404") == (reason, metadata["field"], metadata["http_status"])
    # These paths are the broker's own.
    for call in (collected(download(running, media_id)), upload(running)):
        reason, metadata = await refusal_of(call)
        assert ("WECOM_PROTOCOL", "404") == (reason, metadata["http_status"])


@pytest.mark.parametrize("content", [b'{"errcode":40014,"errmsg":"x"}', b"words " * 700_000, b"<html>" * 10])
@pytest.mark.parametrize("kind", ["text/plain", "application/json", "text/html"])
async def test_a_file_of_words_comes_down_as_it_went_up_whatever_it_says(
    running: Acting, content: bytes, kind: str
) -> None:
    media_id = (await upload(running, content, "报告.txt", kind)).media_id

    assert content == await content_of(running, media_id)


async def test_a_download_that_breaks_off_ends_with_an_error(running: Acting) -> None:
    media_id = (await upload(running, b"x" * 1_000_000)).media_id
    running.world.faults.add(DOWNLOAD, Truncated(), times=1)

    assert "WECOM_PROTOCOL" == (await refusal_of(collected(download(running, media_id))))[0]


async def test_a_download_that_finds_the_token_dead_begins_once_more(running: Acting) -> None:
    media_id = (await upload(running)).media_id
    running.world.kill(await token_of(running, CHILD))

    assert b"content" == await content_of(running, media_id)
    assert 2 == running.world.log.calls(DOWNLOAD)


async def test_an_upload_that_finds_the_token_dead_is_for_the_caller_to_repeat_and_works_then(
    running: Acting,
) -> None:
    running.world.kill(await token_of(running, CHILD))
    reason, metadata = await refusal_of(upload(running, b"x" * 3_000_000))
    again = await upload(running, b"x" * 3_000_000)

    assert ("WECOM_UNAVAILABLE", "40014") == (reason, metadata["errcode"])
    assert (0, 2) == (again.errcode, running.world.log.calls(UPLOAD))


async def test_a_caller_who_leaves_in_the_middle_of_an_upload_leaves_nothing_behind(running: Acting) -> None:
    await upload(running)
    before, files = len(asyncio.all_tasks()), len(running.world.media._media)

    async def endless() -> AsyncIterator[pb.UploadMediaRequest]:
        for message in file_of(b"x" * 2_000_000):
            yield message
        await asyncio.Event().wait()

    for _ in range(60):  # more than the pool has connections
        going = running.api.UploadMedia(endless())
        await until(lambda: running.world.log.in_flight(UPLOAD) == 1, within=5, pause=0.002)
        going.cancel()
        await until(lambda: running.world.log.in_flight(UPLOAD) == 0, within=5, pause=0.002)

    await until(lambda: len(asyncio.all_tasks()) <= before + 2, within=5)
    assert files == len(running.world.media._media)
    assert 0 == (await upload(running)).errcode


@pytest.mark.parametrize("first", [True, False])
async def test_a_chunk_that_is_too_large_is_the_callers_mistake_and_closes_nothing(
    running: Acting, first: bool
) -> None:
    large = b"x" * (1024 * 1024 + 1)

    def pieces() -> Iterator[pb.UploadMediaRequest]:
        yield pb.UploadMediaRequest(
            target=target(CHILD), type="file", file_name="a", chunk=large if first else b"small"
        )
        yield pb.UploadMediaRequest(chunk=large)

    reason, metadata = await refusal_of(running.api.UploadMedia(pieces()))

    assert ("INVALID_REQUEST", "chunk") == (reason, metadata.get("field"))
    assert 0 == (await upload(running)).errcode


async def test_a_caller_who_leaves_in_the_middle_of_a_download_leaves_nothing_behind(running: Acting) -> None:
    media_id = (await upload(running, b"x" * 10_000_000)).media_id
    before = len(asyncio.all_tasks())
    for _ in range(60):  # more than the pool has connections
        going = download(running, media_id)
        await going.read()
        await going.read()
        going.cancel()

    await until(lambda: len(asyncio.all_tasks()) <= before + 2, within=5)
    assert 10_000_000 == len(await content_of(running, media_id))


async def test_an_unknown_app_is_told_and_a_name_that_no_app_has_is_refused_by_field(running: Acting) -> None:
    unknown = await refusal_of(
        running.api.CallApi(pb.CallApiRequest(target={"app": "nobody"}, path=USER_GET))
    )
    malformed = await refusal_of(running.api.CallApi(pb.CallApiRequest(target={"app": "a b"}, path=USER_GET)))

    assert ("UNKNOWN_APP", "target.app") == (unknown[0], malformed[1]["field"])

"""Files up and down."""

import io
from collections.abc import AsyncIterator

import pytest

from broker.simulator import Truncated, World
from tests.simulator.caller import MEDIA_GET, MEDIA_UPLOAD, Caller, FakeClock

FORM = "multipart/form-data; boundary=b"


async def test_a_file_comes_back_as_it_was(wecom: Caller, clock: FakeClock) -> None:
    token = await wecom.token()
    content = b"\r\n--not-the-boundary\r\n\x00\xff\r\n"
    uploaded = await wecom.upload(token, content, '报 "表".txt')
    query = {"access_token": token, "media_id": uploaded["media_id"]}

    assert {"errcode": 0, "errmsg": "ok", "type": "file", "created_at": str(int(clock.now))} == {
        name: value for name, value in uploaded.items() if name != "media_id"
    }
    async with wecom.session.get(MEDIA_GET, params=query) as response:
        assert (200, "text/plain") == (response.status, response.content_type)
        assert response.content_disposition is not None
        assert ("attachment", '报 "表".txt') == (
            response.content_disposition.type,
            response.content_disposition.filename,
        )
        assert len(content) == response.content_length
        assert content == await response.read()


@pytest.mark.parametrize(
    ("kind", "size", "errcode"),
    [
        ("file", 0, 44001),
        ("file", 5, 40006),
        ("file", 6, 0),
        ("voice", 2 << 20, 0),
        ("voice", (2 << 20) + 1, 40006),
        ("image", (10 << 20) + 1, 40006),
        ("file", 20 << 20, 0),
        ("file", (20 << 20) + 1, 40006),
        ("thumb", 6, 40004),
        ("", 6, 40004),
    ],
)
async def test_a_file_has_a_kind_and_a_size(wecom: Caller, kind: str, size: int, errcode: int) -> None:
    assert errcode == (await wecom.upload(await wecom.token(), b"a" * size, kind=kind))["errcode"]


async def test_a_body_beyond_every_file_is_not_read(wecom: Caller) -> None:
    query = {"access_token": await wecom.token(), "type": "file"}
    async with wecom.session.post(MEDIA_UPLOAD, params=query, data=io.BytesIO(b"a" * (21 << 20))) as response:
        assert 413 == response.status


async def test_a_file_beyond_every_file_is_not_read_in_chunks_either(wecom: Caller) -> None:
    async def form() -> AsyncIterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="media"; filename="a"\r\n\r\n'
        for _ in range(21):
            yield b"a" * (1 << 20)
        yield b"\r\n--b--\r\n"

    query = {"access_token": await wecom.token(), "type": "file"}
    headers = {"Content-Type": FORM}
    async with wecom.session.post(MEDIA_UPLOAD, params=query, data=form(), headers=headers) as response:
        assert 413 == response.status


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("", b""),
        ("application/json", b"{}"),
        ("multipart/form-data", b"--b\r\n"),
        (FORM, b""),
        (FORM, b"--b--\r\n"),
        (FORM, b"--b\r\nno headers\r\n--b--"),
        (FORM, b'--b\r\nContent-Disposition: form-data; name="media"\r\n\r\nno file\r\n--b--'),
        (FORM, b'--b\r\nContent-Disposition: form-data; name="other"; filename="a"\r\n\r\nabc\r\n--b--'),
        (FORM, b'--b\r\nContent-Disposition: form-data; name="media"; filename="a"\r\n\r\ncut off'),
        (f"{FORM}{'b' * 70}", b"--b--\r\n"),
        (FORM, b"--b\r\n: no name\r\n\r\nabc\r\n--b--"),
    ],
)
async def test_a_form_without_the_file_is_refused(wecom: Caller, content_type: str, body: bytes) -> None:
    query = {"access_token": await wecom.token(), "type": "file"}
    headers = {"Content-Type": content_type}
    async with wecom.session.post(MEDIA_UPLOAD, params=query, data=body, headers=headers) as response:
        assert 41005 == (await response.json())["errcode"]


async def test_the_documentation_s_form_is_read(wecom: Caller) -> None:
    query = {"access_token": await wecom.token(), "type": "file"}
    body = (
        b'--b\r\nContent-Disposition: form-data; name="media";filename="wework.txt"; filelength=6\r\n'
        b"Content-Type: application/octet-stream\r\n\r\nmytext\r\n--b--\r\n"
    )
    async with wecom.session.post(
        MEDIA_UPLOAD, params=query, data=body, headers={"Content-Type": FORM}
    ) as response:
        media_id = (await response.json())["media_id"]
    query = {"access_token": await wecom.token(), "media_id": media_id}
    async with wecom.session.get(MEDIA_GET, params=query) as response:
        assert response.content_disposition is not None
        assert ("wework.txt", "application/octet-stream", b"mytext") == (
            response.content_disposition.filename,
            response.content_type,
            await response.read(),
        )


async def test_a_file_is_there_for_its_corp_and_for_three_days(
    wecom: Caller, world: World, clock: FakeClock
) -> None:
    media_id = (await wecom.upload(await wecom.token(), b"content"))["media_id"]

    async def errcode(token: str, wanted: str) -> object:
        return (await wecom.get(MEDIA_GET, access_token=token, media_id=wanted))["errcode"]

    assert 40007 == await errcode(await wecom.child_token(), media_id)
    assert 40007 == await errcode(await wecom.token(), "invented")
    assert 40007 == await errcode(await wecom.token(), "")
    assert 40014 == await errcode("invented", media_id)
    clock.now += 3 * 86400
    assert 40007 == await errcode(await wecom.token(), media_id)


async def test_a_download_may_break_off(wecom: Caller, world: World) -> None:
    token = await wecom.token()
    media_id = (await wecom.upload(token, b"content"))["media_id"]
    world.faults.add("media/get", Truncated(), times=1)
    query = {"access_token": token, "media_id": media_id}
    async with wecom.session.get(MEDIA_GET, params=query) as response:
        assert (7, b"con") == (response.content_length, await response.content.readany())

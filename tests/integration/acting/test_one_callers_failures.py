"""What one caller makes fail at WeCom is that caller's alone: neither health nor others notice."""

import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from wecom_broker.v1 import wecom_api_service_pb2 as pb

from broker.simulator import Delay, Errcode, HttpStatus, Junk, JunkKind, Reset, Truncated
from broker.simulator.world.faults import Fault
from tests.integration.acting.acting import APP, CHILD, Acting, acting, refusal_of, target

MEBIBYTE = 1 << 20
USER_GET, UPLOAD, DOWNLOAD = "/cgi-bin/user/get", "/cgi-bin/media/upload", "/cgi-bin/media/get"
ALLOW = {"apps": [APP], "corps": ["*"], "actions": ["api.call", "token.get"], "paths": ["/cgi-bin/*"]}
CALLERS = [
    {"name": name, "token_sha256": hashlib.sha256(f"token-of-{name}".encode()).hexdigest(), "allow": [ALLOW]}
    for name in ("clumsy", "careful")
]
OUTAGES = 8
"""More than open a circuit breaker."""


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Acting]:
    async with acting(tmp_path, callers=CALLERS) as running:
        yield running


def of(caller: str) -> dict[str, Any]:
    return {"metadata": (("authorization", f"Bearer token-of-{caller}"),), "timeout": 20}


def user(running: Acting, caller: str) -> Any:
    request = pb.CallApiRequest(target=target(CHILD), path=USER_GET, query={"userid": "lisi"})
    return running.api.CallApi(request, **of(caller))


def file_of(size: int, kind: str = "file", name: str = "a.bin") -> Iterator[pb.UploadMediaRequest]:
    yield pb.UploadMediaRequest(target=target(CHILD), type=kind, file_name=name)
    for start in range(0, size, MEBIBYTE):
        yield pb.UploadMediaRequest(chunk=b"x" * min(MEBIBYTE, size - start))


def upload(running: Acting, caller: str, size: int = 100, **options: str) -> Any:
    return running.api.UploadMedia(file_of(size, **options), **of(caller))


async def download(running: Acting, caller: str, media_id: str) -> None:
    request = pb.DownloadMediaRequest(target=target(CHILD), media_id=media_id)
    async for _ in running.api.DownloadMedia(request, **of(caller)):
        pass


def wecom_is_up(running: Acting) -> bool:
    return running.broker.telemetry.replica_health.wecom.healthy


FAULTS = [
    HttpStatus(404),
    HttpStatus(403),
    HttpStatus(302),
    HttpStatus(500),
    HttpStatus(502),
    Errcode(-1),
    Errcode(45033),
    Junk(JunkKind.HTML),
    Junk(JunkKind.INVALID_JSON),
    Junk(JunkKind.EMPTY),
    Truncated(),
    Reset(),
]


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
async def test_what_one_caller_makes_fail_is_no_outage_of_wecom(running: Acting, fault: Fault) -> None:
    media_id = (await upload(running, "careful")).media_id
    assert wecom_is_up(running)
    for path in (USER_GET, UPLOAD, DOWNLOAD):
        running.world.faults.add(path, fault, times=1)
    for failing in (
        user(running, "clumsy"),
        upload(running, "clumsy"),
        download(running, "clumsy", media_id),
    ):
        with suppress(grpc.aio.AioRpcError):
            await failing
        assert wecom_is_up(running)


async def test_wecom_s_own_answers_to_the_broker_do_count(running: Acting) -> None:
    running.world.faults.add("/cgi-bin/gettoken", HttpStatus(502), times=10)
    await refusal_of(user(running, "clumsy"))

    assert not wecom_is_up(running)


@pytest.mark.parametrize("fault", [Reset(), HttpStatus(502), Errcode(-1)], ids=repr)
async def test_calls_that_one_caller_makes_fail_do_not_close_the_path_for_others(
    running: Acting, fault: Fault
) -> None:
    await user(running, "careful")
    running.world.faults.add(USER_GET, fault, times=OUTAGES)
    for _ in range(OUTAGES):
        with suppress(grpc.aio.AioRpcError):
            await user(running, "clumsy")
    running.world.faults.clear()

    assert 0 == (await user(running, "careful")).errcode


@pytest.mark.parametrize("fault", [Reset(), HttpStatus(502), Truncated()], ids=repr)
async def test_files_that_fail_close_no_uploads_or_downloads(running: Acting, fault: Fault) -> None:
    media_id = (await upload(running, "careful")).media_id
    for path in (UPLOAD, DOWNLOAD):
        running.world.faults.add(path, fault, times=OUTAGES)
    for _ in range(OUTAGES):
        await refusal_of(upload(running, "clumsy", 3 * MEBIBYTE))
        await refusal_of(download(running, "clumsy", media_id))
    running.world.faults.clear()

    for caller in ("clumsy", "careful"):
        assert 0 == (await upload(running, caller)).errcode
        await download(running, caller, media_id)


@pytest.mark.parametrize(("kind", "mebibytes"), [("image", 10), ("voice", 2), ("video", 10), ("file", 20)])
async def test_a_file_larger_than_wecom_takes_is_its_caller_s_mistake(
    running: Acting, kind: str, mebibytes: int
) -> None:
    assert 0 == (await upload(running, "clumsy", mebibytes * MEBIBYTE, kind=kind)).errcode
    reason, metadata = await refusal_of(upload(running, "clumsy", mebibytes * MEBIBYTE + 1, kind=kind))

    assert ("INVALID_REQUEST", "chunk") == (reason, metadata["field"])
    assert wecom_is_up(running)


async def test_a_caller_that_lets_wecom_wait_is_no_outage(running: Acting) -> None:
    running.world.faults.add(USER_GET, Delay(5), times=1)
    request = pb.CallApiRequest(target=target(CHILD), path=USER_GET, query={"userid": "lisi"})
    with pytest.raises(grpc.aio.AioRpcError, match="Deadline Exceeded"):
        await running.api.CallApi(request, **{**of("clumsy"), "timeout": 0.5})

    assert wecom_is_up(running)

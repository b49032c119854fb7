"""Socket files: who connects is known by the file's mode, by the kernel, or is one configured caller."""

import asyncio
import os
import socket
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from wecom_broker._connection.interceptors.bearer import bearer as identified_by

from broker.app.errors import CannotStart
from broker.config.load import parse_config
from broker.config.mapping import callers as mapped
from broker.server.grpc.guard import LARGEST_REQUEST
from broker.simulator.demo import PARENT, add_children, demo_world
from tests.integration.access.doors import BEARER, BY_TOKEN, DENIED, UNKNOWN, said
from tests.kit.broker_here import BrokerHere, broker_here
from tests.kit.processes.fleet import Replica, child, refused

SIDECAR = {
    "name": "sidecar",
    "allow": [{"apps": ["crm"], "corps": [PARENT.corpid], "actions": ["token.get"]}],
}
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="SO_PEERCRED is Linux's")
NO_PROXY = [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]


@asynccontextmanager
async def at(address: str, bearer: str = "") -> AsyncIterator[Replica]:
    sent = identified_by(bearer) if bearer else []
    async with grpc.aio.insecure_channel(address, options=NO_PROXY, interceptors=sent) as channel:
        yield Replica(channel)


@asynccontextmanager
async def serving(
    folder: Path, *listeners: Any, callers: Any = (BY_TOKEN, SIDECAR)
) -> AsyncIterator[BrokerHere]:
    world = demo_world()
    add_children(world, 2)
    async with broker_here(folder, world, server={"grpc": list(listeners)}, callers=list(callers)) as here:
        yield here


def socket_in(folder: Path, **more: Any) -> dict[str, Any]:
    return {"address": f"unix://{folder}/broker.sock", **more}


async def test_everybody_on_a_socket_with_a_caller_is_that_caller_and_nobody_else_is(tmp_path: Path) -> None:
    open_to_all = f"unix://{tmp_path}/all.sock"
    sidecar = socket_in(tmp_path, caller="sidecar")
    async with serving(tmp_path, "127.0.0.1:0", sidecar, open_to_all) as here:
        async with at(sidecar["address"]) as replica:
            assert PARENT.corpid == (await replica.token()).corp_id
            assert DENIED == said(await refused(replica.token(child(1))))
            assert await replica.serving(), "health is on each listener"
        async with at(sidecar["address"], BEARER) as replica:
            assert DENIED == said(await refused(replica.token(child(1)))), "a token makes it nobody else"
        for address in (here.address, open_to_all):
            async with at(address) as replica:
                assert UNKNOWN == said(await refused(replica.token()))
            async with at(address, BEARER) as replica:
                assert child(1) == (await replica.token(child(1))).corp_id


async def test_a_caller_of_a_socket_that_is_removed_is_refused(tmp_path: Path) -> None:
    sidecar = socket_in(tmp_path, caller="sidecar")
    async with serving(tmp_path, sidecar) as here, at(sidecar["address"]) as replica:
        assert await replica.token()

        here.broker.policy.replace([])
        assert UNKNOWN == said(await refused(replica.token()))

        config = parse_config({"apps": [CRM], "server": {"grpc": [sidecar]}, "callers": [SIDECAR]})
        here.broker.policy.replace(mapped(config))
        assert await replica.token()


CRM = {"name": "crm", "corp_id": "ww0parent", "agent_id": 1000002, "secret": "a-secret"}


@pytest.mark.parametrize("uid", [None, pytest.param(os.getuid(), marks=LINUX)])
@pytest.mark.parametrize("mode", ["0600", "0660", "666"])
async def test_a_socket_has_its_mode_before_anybody_can_connect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, uid: int | None
) -> None:
    seen: list[int] = []
    chmod = Path.chmod

    def noted(path: Path, mode: int, **more: Any) -> None:
        seen.append(stat.S_IMODE(path.stat().st_mode))
        chmod(path, mode, **more)

    monkeypatch.setattr(Path, "chmod", noted)
    before = os.umask(0)
    try:
        more = {} if uid is None else {"uid": uid}
        async with serving(tmp_path, socket_in(tmp_path, mode=mode, **more), callers=[BY_TOKEN]):
            assert int(mode, 8) == stat.S_IMODE((tmp_path / "broker.sock").stat().st_mode)
            assert [0o600] == seen, "until then its owner alone may connect"
            assert 0 == os.umask(0), "the umask is as it was"
    finally:
        os.umask(before)
    assert not (tmp_path / "broker.sock").exists()


@LINUX
async def test_the_process_of_another_user_is_refused_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stranger = socket_in(tmp_path, caller="sidecar", uid=os.getuid() + 1)
    async with serving(tmp_path, stranger) as here:
        for _ in range(3):
            async with at(stranger["address"]) as replica:
                assert grpc.StatusCode.UNAVAILABLE is (await refused(replica.token(timeout=2))).code
        count = here.broker.telemetry.metrics.callers_refused.labels("", "UNAUTHENTICATED")._value.get()
    assert count >= 3
    assert capsys.readouterr().out.count("refused a process of another user") <= 2


@LINUX
async def test_the_named_user_is_relayed_streams_and_large_messages_too(tmp_path: Path) -> None:
    mine = socket_in(tmp_path, caller="sidecar", uid=os.getuid())
    async with serving(tmp_path, mine) as here:
        async with at(mine["address"]) as replica:
            tokens = await asyncio.gather(*(replica.token() for _ in range(200)))
            assert {PARENT.corpid} == {token.corp_id for token in tokens}
            refusal = await refused(replica.token("x" * LARGEST_REQUEST))
            assert "INVALID_REQUEST" == refusal.reason
        async with at(mine["address"]) as replica:
            assert await replica.token(), "one connection ended, the next is relayed"
        assert here.broker.grpc_addresses == [mine["address"]]
    assert not (tmp_path / "broker.sock").exists()


@pytest.mark.parametrize("uid", [None, pytest.param(os.getuid(), marks=LINUX)])
async def test_a_stale_socket_file_is_replaced_and_a_used_one_refused(
    tmp_path: Path, uid: int | None
) -> None:
    listener = socket_in(tmp_path, **({} if uid is None else {"uid": uid}))

    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(tmp_path / "broker.sock"))
    async with serving(tmp_path, listener, callers=()):
        async with at(listener["address"]) as replica:
            assert await replica.token()
        (tmp_path / "second").mkdir()
        with pytest.raises(CannotStart, match=r"server\.grpc\[0\]: cannot listen on unix://.* is in use"):
            async with serving(tmp_path / "second", listener, callers=()):
                pass
        async with at(listener["address"]) as replica:
            assert await replica.token(), "the first still serves"


@pytest.mark.parametrize("uid", [None, pytest.param(os.getuid(), marks=LINUX)])
async def test_a_file_that_is_no_socket_is_kept(tmp_path: Path, uid: int | None) -> None:
    (tmp_path / "broker.sock").write_text("somebody's notes")
    listener = socket_in(tmp_path, **({} if uid is None else {"uid": uid}))

    with pytest.raises(CannotStart, match=r"server\.grpc\[0\]: cannot listen on unix://"):
        async with serving(tmp_path, listener, callers=()):
            pass

    assert "somebody's notes" == (tmp_path / "broker.sock").read_text()

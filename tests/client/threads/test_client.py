"""The client for threads. The fake broker lives in the test's loop, the client in threads beside it."""

from __future__ import annotations

import asyncio
import gc
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from inspect import getmembers, signature

import grpc
import pytest
import wecom_broker
from wecom_broker import Target, sync
from wecom_broker.errors import AppNotShared, BrokerClosed, BrokerUnreachable, DeadlineExceeded
from wecom_broker.v1 import app_share_service_pb2 as shares_pb2
from wecom_broker.v1 import token_service_pb2 as pb
from wecom_broker.v1.token_service_pb2_grpc import TokenServiceStub

from tests.client.fake_broker import PATIENCE, FakeBroker, Refusal


@pytest.fixture
async def broker(fake: FakeBroker) -> sync.Broker:
    client = sync.Broker(fake.address)
    yield client
    await asyncio.to_thread(client.close)


async def test_a_token_is_watched_and_then_read_from_memory(fake: FakeBroker, broker: sync.Broker):
    token = await asyncio.to_thread(broker.access_token, "crm", corp="ww1")

    # In the thread of the fake broker's loop: nothing could answer, if it asked.
    assert token is broker.access_token("crm", corp="ww1")
    assert token is broker.held_token("crm", corp="ww1")
    assert {"WatchAccessToken": 1} == fake.calls


async def test_twenty_threads_share_one_watch(fake: FakeBroker, broker: sync.Broker):
    start = threading.Barrier(20)

    def read() -> set[int]:
        start.wait()
        return {id(broker.access_token("crm", corp="ww1")) for _ in range(1000)}

    with ThreadPoolExecutor(20) as threads:
        loop = asyncio.get_running_loop()
        seen = await asyncio.gather(*(loop.run_in_executor(threads, read) for _ in range(20)))

    assert 1 == len(set.union(*seen))
    assert {"WatchAccessToken": 1} == fake.calls


async def test_threads_see_rotations_and_never_an_older_token(fake: FakeBroker, broker: sync.Broker):
    await asyncio.to_thread(broker.access_token, "crm")
    done = threading.Event()

    def read() -> bool:
        generations = [broker.access_token("crm").generation]
        while not done.is_set():
            generations.append(broker.access_token("crm").generation)
            if generations[-1] == 30:
                break
            done.wait(0.0001)
        return generations == sorted(generations) and generations[-1] == 30

    with ThreadPoolExecutor(20) as threads:
        loop = asyncio.get_running_loop()
        readers = [loop.run_in_executor(threads, read) for _ in range(20)]
        for _ in range(29):
            fake.rotate("crm")
            await asyncio.sleep(0)
        finished, _ = await asyncio.wait(readers, timeout=PATIENCE)
        done.set()
        assert all(await asyncio.gather(*readers))
    assert 20 == len(finished)


async def test_rejections_of_many_threads_are_one_call(fake: FakeBroker, broker: sync.Broker):
    token = await asyncio.to_thread(broker.access_token, "crm")
    new = await asyncio.gather(*(asyncio.to_thread(broker.rejected, token, 42001) for _ in range(20)))

    assert {2} == {each.generation for each in new}
    assert 1 == fake.calls["ReportInvalidToken"]


async def test_iterators_are_plain(fake: FakeBroker, broker: sync.Broker):
    fake.shares = [shares_pb2.AppShare(app="crm", corp_id=f"ww{number}") for number in range(5)]
    shares = await asyncio.to_thread(lambda: list(broker.app_shares("crm")))
    assert [f"ww{number}" for number in range(5)] == [share.corp_id for share in shares]

    tokens = broker.watch_access_token("crm")
    assert 1 == (await asyncio.to_thread(next, tokens)).generation
    fake.rotate("crm")
    assert 2 == (await asyncio.to_thread(next, tokens)).generation
    tokens.close()
    await fake.until(lambda: fake.open_streams == 0)


async def test_a_forgotten_iterator_closes_its_stream(fake: FakeBroker, broker: sync.Broker):
    tokens = broker.watch_access_token("crm")
    await asyncio.to_thread(next, tokens)
    del tokens
    gc.collect()

    await fake.until(lambda: fake.open_streams == 0)


async def test_errors_are_those_of_the_async_client(fake: FakeBroker, broker: sync.Broker):
    fake.refusals["WatchAccessToken"] = Refusal(grpc.StatusCode.NOT_FOUND, "APP_NOT_SHARED")

    with pytest.raises(AppNotShared):
        await asyncio.to_thread(broker.access_token, "crm")


async def test_a_deadline_is_kept(fake: FakeBroker):
    fake.hold()
    with sync.Broker(fake.address, timeout=timedelta(milliseconds=50)) as broker:
        with pytest.raises(DeadlineExceeded):
            await asyncio.to_thread(broker.access_token, "crm")
        fake.release()


async def test_closing_ends_the_thread_and_tells_those_who_wait(fake: FakeBroker):
    fake.hold()
    client = sync.Broker(fake.address)
    callers = [asyncio.create_task(asyncio.to_thread(client.access_token, "crm")) for _ in range(3)]
    watcher = asyncio.create_task(asyncio.to_thread(next, client.watch_access_token("crm")))
    sharer = asyncio.create_task(asyncio.to_thread(client.sync_app_shares, "crm"))
    await fake.until(lambda: fake.calls.total() == 3)
    await asyncio.to_thread(client.close)

    for waiting in (*callers, watcher, sharer):
        with pytest.raises(BrokerClosed):
            await waiting
    with pytest.raises(BrokerClosed):
        client.access_token("crm")
    client.close()
    assert "wecom_broker" not in {thread.name for thread in threading.enumerate()}
    fake.release()


def test_ctrl_c_interrupts_a_call_and_the_client_lives_on():
    """The fake broker runs in its own thread here, for signals arrive in the main one."""
    fake, started, done = FakeBroker(), threading.Event(), threading.Event()

    async def serve() -> None:
        async with fake:
            fake.hold()
            started.set()
            await fake.until(lambda: fake.calls["WatchAccessToken"] == 1)
            # To the main thread: only there does it interrupt a wait.
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            fake.release()
            await asyncio.to_thread(done.wait)

    server = threading.Thread(target=asyncio.run, args=[serve()])
    server.start()
    started.wait()
    try:
        with sync.Broker(fake.address) as broker:
            with pytest.raises(KeyboardInterrupt):
                broker.access_token("crm")
            assert 1 == broker.access_token("crm").generation
    finally:
        done.set()
        server.join()


async def test_closing_leaves_no_call_to_other_loops(fake: FakeBroker, caplog: pytest.LogCaptureFixture):
    def use() -> None:
        for _ in range(20):
            with sync.Broker(fake.address) as broker:
                broker.access_token("crm")

    await asyncio.to_thread(use)

    # gRPC hands what it has for a closed loop to another, where it ends in "Event loop is closed".
    assert [] == [record.message for record in caplog.records if record.name == "asyncio"]


async def test_a_forgotten_close_is_warned_of(broker: sync.Broker):
    with pytest.warns(ResourceWarning, match="unclosed <sync <Broker of"):
        broker.__del__()


async def test_a_stub_is_asked_with_the_errors_of_the_client(broker: sync.Broker, fake: FakeBroker):
    def ask() -> int:
        get = TokenServiceStub(broker.channel).GetAccessToken
        return broker.ask(get, pb.GetAccessTokenRequest(target=Target("crm").to_proto())).token.generation

    assert 1 == await asyncio.to_thread(ask)
    await fake.stop()
    with pytest.raises(BrokerUnreachable):
        await asyncio.to_thread(ask)


def test_it_has_the_methods_of_the_async_client():
    def methods(kind: type) -> dict[str, list[tuple[object, ...]]]:
        return {
            name: [(each.name, each.kind, each.default) for each in signature(value).parameters.values()]
            for name, value in getmembers(kind, callable)
            if not name.startswith("_")
        }

    assert methods(wecom_broker.Broker) == methods(sync.Broker)
    assert signature(wecom_broker.Broker) == signature(sync.Broker)


OUT_OF_FILES = """
import resource
from wecom_broker import sync
resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
try:
    sync.Broker("127.0.0.1:1")
except OSError as error:
    print("told:", error.strerror)
"""


def test_a_thread_that_cannot_start_its_loop_is_told_instead_of_awaited():
    told = subprocess.run(
        [sys.executable, "-c", OUT_OF_FILES], capture_output=True, text=True, timeout=30, check=False
    )

    assert ("told: Too many open files\n", 0) == (told.stdout, told.returncode), told.stderr

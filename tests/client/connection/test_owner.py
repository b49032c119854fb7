"""Where a client may be used: in the event loop and the process of its first use."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from wecom_broker import AccessToken, Broker
from wecom_broker.errors import BrokerClosed, BrokerError, WrongEventLoop

from tests.client.fake_broker import PATIENCE, FakeBroker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

CALLS: dict[str, Callable[[Broker, AccessToken], Awaitable[object]]] = {
    "access_token": lambda broker, _: broker.access_token("crm"),
    "access_token of another corp": lambda broker, _: broker.access_token("crm", "ww1"),
    "rejected": lambda broker, token: broker.rejected(token, 40014),
    "watch_access_token": lambda broker, _: anext(broker.watch_access_token("crm")),
    "app_shares": lambda broker, _: anext(broker.app_shares("crm")),
    "sync_app_shares": lambda broker, _: broker.sync_app_shares("crm"),
    "sign_page": lambda broker, _: broker.sign_page("crm", "https://crm.test/"),
    "user_from_code": lambda broker, _: broker.user_from_code("crm", "code"),
    "mini_program_login": lambda broker, _: broker.mini_program_login("crm", "code"),
    "call": lambda broker, _: broker.call("crm", "/cgi-bin/user/get"),
    "upload_media": lambda broker, _: broker.upload_media("crm", "file", "a.txt", b"text"),
    "download_media": lambda broker, _: broker.download_media("crm", "media-1").__aenter__(),
    "events": lambda broker, _: anext(broker.events("g")),
    "acknowledge_events": lambda broker, _: broker.acknowledge_events("g", ["crm:1-1"]),
    "seal_reply": lambda broker, _: broker.seal_reply("crm", "<xml/>"),
}


@contextmanager
def running_fake() -> Iterator[FakeBroker]:
    """A fake broker with a thread and an event loop of its own."""
    fake, started, done = FakeBroker(), threading.Event(), threading.Event()

    async def serve() -> None:
        async with fake:
            started.set()
            await asyncio.to_thread(done.wait)

    server = threading.Thread(target=asyncio.run, args=[serve()])
    server.start()
    started.wait()
    try:
        yield fake
    finally:
        done.set()
        server.join()


@pytest.fixture
def fake() -> Iterator[FakeBroker]:
    with running_fake() as fake:
        yield fake


class TestEventLoops:
    @pytest.mark.parametrize("name", CALLS)
    def test_a_second_loop_is_refused_once_the_first_is_closed(self, fake: FakeBroker, name: str):
        broker = Broker(fake.address)
        token = asyncio.run(broker.access_token("crm"))
        calls = fake.calls.total()

        async def second() -> None:
            with pytest.raises(WrongEventLoop, match=r"is closed; .*wecom_broker\.sync\.Broker") as caught:
                await CALLS[name](broker, token)
            assert isinstance(caught.value, BrokerError)

        asyncio.run(second())
        asyncio.run(broker.close())
        assert calls == fake.calls.total()

    @pytest.mark.parametrize("name", CALLS)
    async def test_a_second_loop_beside_the_first_is_refused(self, fake: FakeBroker, name: str):
        async with Broker(fake.address) as broker:
            token = await broker.access_token("crm")

            async def second() -> None:
                with pytest.raises(WrongEventLoop, match="is another one; make a client in each"):
                    await CALLS[name](broker, token)

            await asyncio.to_thread(asyncio.run, second())
            assert token is await broker.access_token("crm")

    def test_a_loop_that_takes_turns_with_the_first_in_one_thread_is_refused(self, fake: FakeBroker):
        broker = Broker(fake.address)
        first, second = asyncio.new_event_loop(), asyncio.new_event_loop()
        token = first.run_until_complete(broker.access_token("crm"))
        with pytest.raises(WrongEventLoop, match="is another one"):
            second.run_until_complete(broker.access_token("crm"))

        assert token is first.run_until_complete(broker.access_token("crm"))
        first.run_until_complete(broker.close())
        first.close()
        second.close()

    async def test_a_thread_without_a_loop_is_refused(self, fake: FakeBroker):
        async with Broker(fake.address) as broker:
            await broker.access_token("crm")

            def step() -> None:
                call = broker.access_token("crm")
                with pytest.raises(WrongEventLoop, match="needs a running event loop"):
                    call.send(None)

            await asyncio.to_thread(step)

    def test_a_loop_that_moves_to_another_thread_is_still_its_own(self, fake: FakeBroker):
        broker = Broker(fake.address)
        loop = asyncio.new_event_loop()
        token = loop.run_until_complete(broker.access_token("crm"))
        found: list[AccessToken] = []

        def use() -> None:
            found.append(loop.run_until_complete(broker.access_token("crm")))
            loop.run_until_complete(broker.close())
            loop.close()

        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
        assert [token] == found

    def test_a_loop_that_was_closed_without_ending_its_tasks_is_noticed(self, fake: FakeBroker):
        broker = Broker(fake.address)
        loop = asyncio.new_event_loop()
        loop.run_until_complete(broker.access_token("crm"))
        assert broker.held_token("crm") is not None

        async def second() -> None:
            with pytest.raises(WrongEventLoop, match="is closed"):
                await broker.access_token("crm")

        loop.close()
        asyncio.run(second())
        asyncio.run(broker.close())

    def test_the_channel_too_belongs_to_the_first_loop(self, fake: FakeBroker):
        broker = Broker(fake.address)
        asyncio.run(broker.access_token("crm"))

        async def second() -> None:
            with pytest.raises(WrongEventLoop):
                _ = broker.channel

        asyncio.run(second())
        asyncio.run(broker.close())

    def test_without_a_loop_the_channel_says_what_it_needs(self):
        with pytest.raises(WrongEventLoop, match="running event loop"):
            _ = Broker("somewhere:1").channel

    async def test_memory_is_read_from_any_loop(self, fake: FakeBroker):
        async with Broker(fake.address) as broker:
            token = await broker.access_token("crm")

            assert token is await asyncio.to_thread(broker.held_token, "crm")

    async def test_only_its_own_loop_closes_a_client(self, fake: FakeBroker):
        async with Broker(fake.address) as broker:
            await broker.access_token("crm")

            with pytest.raises(WrongEventLoop):
                await asyncio.to_thread(asyncio.run, broker.close())
            assert 1 == (await broker.access_token("crm", "ww1")).generation

    def test_a_client_whose_loop_is_closed_can_be_closed(self, fake: FakeBroker):
        broker = Broker(fake.address)
        asyncio.run(broker.access_token("crm"))
        asyncio.run(broker.close())

        async def later() -> None:
            with pytest.raises((BrokerClosed, WrongEventLoop)):
                await broker.access_token("crm")

        asyncio.run(later())

    def test_a_client_that_was_made_outside_belongs_to_the_loop_that_uses_it(self, fake: FakeBroker):
        broker = Broker(fake.address)

        async def use() -> int:
            async with broker:
                return (await broker.access_token("crm")).generation

        assert 1 == asyncio.run(use())


FORKING = """
import asyncio, gc, os, sys, warnings
from wecom_broker import Broker, errors, sync

warnings.simplefilter("error")
warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of a fork beside threads
address, kind = sys.argv[1:]

def told(call):
    try:
        call()
    except errors.MadeBeforeFork as error:
        return "before a fork; use clients in the child process only" in str(error)
    return False

def in_threads():
    broker = sync.Broker(address)
    token = broker.access_token("crm")
    tokens = broker.watch_access_token("crm")
    next(tokens)
    if os.fork():
        assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
        assert broker.access_token("crm") is token
        tokens.close()
        broker.close()
        return
    assert told(lambda: broker.access_token("crm"))
    assert told(lambda: broker.access_token("crm", "ww1"))
    assert told(lambda: broker.held_token("crm"))
    assert told(lambda: broker.rejected(token, 40014))
    assert told(lambda: next(tokens))
    assert told(lambda: broker.call("crm", "/cgi-bin/user/get"))
    assert told(lambda: broker.download_media("crm", "media-1").__enter__())
    assert told(lambda: next(broker.events("g")))
    broker.close()

def unused_in_threads():
    broker = sync.Broker(address)
    if os.fork():
        assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
        broker.close()
        return
    assert told(lambda: broker.access_token("crm"))
    assert told(lambda: broker.held_token("crm"))

def new_ones_beside_an_open_one():
    broker = sync.Broker(address)
    broker.access_token("crm")
    if os.fork():
        assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
        broker.close()
        return
    with sync.Broker(address) as another:
        assert told(lambda: another.access_token("crm"))

    async def use():
        async with Broker(address) as another:
            await another.access_token("crm")

    assert told(lambda: asyncio.run(use()))

def new_ones_after_closed_ones():
    gc.disable()  # so that what is left of the closed clients is collected in the child
    with sync.Broker(address) as broker:
        broker.access_token("crm")

    async def use():
        async with Broker(address) as another:
            await another.access_token("crm")

    asyncio.run(use())
    if os.fork():
        assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
        return
    gc.collect()
    # gRPC may have closed its threads, or be about to: then a call would hang.
    assert told(lambda: asyncio.run(use()))
    with sync.Broker(address) as another:
        assert told(lambda: another.access_token("crm"))

def in_a_loop():
    broker = Broker(address)

    async def parent():
        token = await broker.access_token("crm")
        if pid := os.fork():
            status = await asyncio.to_thread(os.waitpid, pid, 0)
            assert os.waitstatus_to_exitcode(status[1]) == 0
            await broker.close()
            return
        os._exit(0 if child() else 1)

    def child():
        # Still within the loop that was forked.
        call = broker.access_token("crm")
        if not told(lambda: call.send(None)):
            return False
        asyncio.events._set_running_loop(None)
        calls = [
            lambda: asyncio.run(broker.access_token("crm")),
            lambda: asyncio.run(broker.access_token("crm", "ww1")),
            lambda: asyncio.run(broker.call("crm", "/cgi-bin/user/get")),
            lambda: broker.held_token("crm"),
        ]
        refused = all([told(call) for call in calls])
        asyncio.run(broker.close())
        return refused

    asyncio.run(parent())

def unused_in_a_loop():
    broker = Broker(address)
    if os.fork():
        assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
        return

    async def use():
        async with broker:
            assert (await broker.access_token("crm")).generation == 1

    asyncio.run(use())

parent = os.getpid()
globals()[kind]()
if os.getpid() != parent:
    # As multiprocessing ends a child: the interpreter's own end may crash in gRPC's objects (grpcio 1.85).
    os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.parametrize(
    "kind",
    [
        "in_threads",
        "unused_in_threads",
        "in_a_loop",
        "unused_in_a_loop",
        "new_ones_beside_an_open_one",
        "new_ones_after_closed_ones",
    ],
)
def test_a_child_process_has_a_working_client_or_an_error(fake: FakeBroker, kind: str):
    """In a process of its own: a fork of this one would have gRPC's threads, and pytest."""
    program = [sys.executable, "-c", FORKING, fake.address, kind]
    ended = subprocess.run(program, check=False, timeout=3 * PATIENCE, capture_output=True, text=True)

    assert 0 == ended.returncode, ended.stderr
    assert "Exception ignored" not in ended.stderr

"""A broker's certificate and the CA of its clients are exchanged while callers are served."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import grpc.aio
import pytest
from wecom_broker.v1 import admin_service_pb2 as admin_pb

from tests.integration.access.doors import ORDERS, Door
from tests.integration.conftest import Figures
from tests.integration.lifecycle.reloading import Reloading, status
from tests.kit.processes.certificates import Authority, Bundle, Pair
from tests.kit.processes.fleet import APP, Refusal, Replica, SimulatorProcess, child, refusal, refused, until
from tests.kit.processes.load import steady_load

pytestmark = pytest.mark.slow

CALLER = {
    "name": "orders",
    "identity": ORDERS,
    "allow": [{"apps": ["*"], "actions": ["token.get", "admin.read"]}],
}
CORPS = ["", child(1), child(2)]


class Guarded(Reloading):
    """A broker behind mutual TLS, whose certificate and client CA are of the same authority at first."""

    def __init__(self, folder: Path, wecom: SimulatorProcess) -> None:
        self.folder = folder
        self.old, self.new = Authority("the CA until now"), Authority("the next CA")
        tls = {**self.issue(self.old), "client_ca": self.old.write(folder)}
        super().__init__(folder, wecom, callers=[CALLER], server={"tls": tls})
        self.both = Door(self.broker.address, Bundle(self.old.pem + self.new.pem))

    def issue(self, authority: Authority) -> dict[str, str]:
        """Write a new certificate of the broker's; return the paths."""
        return authority.sign(dns="localhost", address="127.0.0.1").write(self.folder, "server")

    def trust(self, *authorities: Authority) -> None:
        """Let clients in whose certificates these signed."""
        (self.folder / "ca.pem").write_bytes(b"".join(authority.pem for authority in authorities))

    async def hang_up(self) -> None:
        """Send SIGHUP; return when the files as they are now are in force."""
        before = self.count("applied")
        self.broker.send(signal.SIGHUP)
        await until(lambda: self.count("applied") > before)

    async def is_let_in(self, pair: Pair, trusting: Authority) -> bool:
        """Return whether a new connection with the pair, by who trusts that authority alone, is served."""
        async with Door(self.broker.address, trusting).enter(pair) as line:
            with suppress(grpc.aio.AioRpcError):
                return bool((await line.token(timeout=10)).value)
            return False


class Newcomers:
    """Callers that connect anew for each call, with the certificate that they have then."""

    def __init__(self, door: Door, pair: Pair) -> None:
        self._door = door
        self._pair = pair
        self._presented: list[Pair] = []
        self.served = 0
        self.refusals: list[Refusal] = []

    @asynccontextmanager
    async def come(self, at_once: int = 3) -> AsyncIterator[None]:
        over = asyncio.Event()

        async def connect() -> None:
            while not over.is_set():
                self._presented.append(pair := self._pair)
                async with self._door.enter(pair) as line:
                    try:
                        await line.token()
                        self.served += 1
                    except grpc.aio.AioRpcError as error:
                        self.refusals.append(refusal(error))
                self._presented.remove(pair)
                await asyncio.sleep(0.02)

        coming = [asyncio.create_task(connect()) for _ in range(at_once)]
        try:
            yield
        finally:
            over.set()
            await asyncio.gather(*coming)

    async def renew(self, pair: Pair) -> None:
        """Have them present another certificate; return when nobody presents the one before."""
        self._pair = pair
        await until(lambda: all(presented is pair for presented in self._presented))

    async def some_more(self) -> None:
        """Return when more of them were served."""
        before = self.served
        await until(lambda: self.served > before + 10)


@pytest.fixture
def guarded(tmp_path: Path, wecom: SimulatorProcess) -> Iterator[Guarded]:
    found = Guarded(tmp_path, wecom)
    with found.broker:
        yield found


async def test_certificate_and_client_ca_are_exchanged_and_no_call_fails(
    guarded: Guarded, figures: Figures
) -> None:
    old, new = (authority.sign(uri=ORDERS) for authority in (guarded.old, guarded.new))
    newcomers = Newcomers(guarded.both, old)
    async with AsyncExitStack() as stack:
        lines: list[Replica] = [await stack.enter_async_context(guarded.both.enter(old)) for _ in range(3)]
        for corp_id in CORPS:
            await lines[0].token(corp_id)
        load = await stack.enter_async_context(steady_load(lines, CORPS, pause=0.02))
        async with newcomers.come():
            await newcomers.some_more()
            assert not await guarded.is_let_in(old, trusting=guarded.new)

            guarded.issue(guarded.new)
            guarded.trust(guarded.old, guarded.new)
            await guarded.hang_up()
            assert await guarded.is_let_in(old, trusting=guarded.new), "a new connection sees the new one"
            assert not await guarded.is_let_in(old, trusting=guarded.old)
            await newcomers.some_more()
            await newcomers.renew(new)
            await newcomers.some_more()

            guarded.trust(guarded.new)
            await guarded.hang_up()
            assert not await guarded.is_let_in(old, trusting=guarded.new), "its CA was removed"
            assert await guarded.is_let_in(new, trusting=guarded.new)
            await newcomers.some_more()
            after = load.calls
            await until(lambda: load.calls > after + 50)
    assert [] == load.refusals, "open connections go on"
    assert [] == newcomers.refusals
    figures(calls=load.calls, new_connections=newcomers.served, failed=0)


async def test_a_bad_certificate_changes_nothing_and_is_told(guarded: Guarded) -> None:
    pair = guarded.old.sign(uri=ORDERS)
    key = guarded.folder / "server.key.pem"
    good = key.read_bytes()
    problem = "server.tls: certificate and private_key are no pair"
    async with guarded.both.enter(pair) as line, steady_load([line], CORPS, pause=0.02) as load:
        await until(lambda: load.calls > 20)
        key.write_bytes(guarded.new.sign(dns="localhost").private_key)
        # With a change that would be taken: all of a configuration, or nothing of it.
        guarded.broker.configure(guarded.config(APP, "added"))
        guarded.broker.send(signal.SIGHUP)
        await until(lambda: guarded.count("refused") >= 1)

        found = await status(line)
        assert (admin_pb.RELOAD_OUTCOME_REFUSED, [problem]) == (found.outcome, list(found.problems))
        assert problem in guarded.broker.log.read_text()
        assert await guarded.is_let_in(pair, trusting=guarded.old), "new connections get the old one"
        assert "UNKNOWN_APP" == (await refused(line.of("added").token())).reason
        after = load.calls
        await until(lambda: load.calls > after + 20)

        key.write_bytes(good)
        await guarded.hang_up()
        found = await status(line)
        assert (admin_pb.RELOAD_OUTCOME_APPLIED, []) == (found.outcome, list(found.problems))
    assert [] == load.refusals

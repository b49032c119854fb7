"""A network between processes: links that carry every byte, late, or nothing at all.

Each link has a process of its own: in the test's, whatever else the test does would make it slow.
"""

import asyncio
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.kit.processes.environment import environment
from tests.kit.processes.ports import free_port
from tests.kit.processes.redis_server import die_with_parent

CHUNK = 65536


class Link:
    """A way to a port on loopback. A context manager."""

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self._target = target
        self._process: subprocess.Popen[str] | None = None

    def cut(self) -> None:
        """Carry nothing: nobody is told, and connections stay as they are, as with a pulled cable."""
        self._say("cut")

    def delay(self, seconds: float) -> None:
        """Carry each answer so much later."""
        self._say(f"delay {seconds}")

    def mend(self) -> None:
        """Carry everything at once again, also what was held back."""
        self._say("delay 0")

    def _say(self, command: str) -> None:
        assert self._process
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        assert "done\n" == self._process.stdout.readline()

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.kit.processes.network", str(self.port), str(self._target)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[3],
            env=environment(),
            preexec_fn=die_with_parent,
        )
        self.mend()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process
        self._process.kill()
        self._process.communicate()


class Relay:
    """The link's own process."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._delay = 0.0
        self._carries = asyncio.Event()

    async def obey(self) -> None:
        """Do as each line of the standard input says."""
        while line := await asyncio.to_thread(sys.stdin.readline):
            word, _, seconds = line.strip().partition(" ")
            if word == "cut":
                self._carries.clear()
            else:
                self._delay = float(seconds)
                self._carries.set()
            sys.stdout.write("done\n")
            sys.stdout.flush()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        with suppress(OSError):
            await self._carries.wait()
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._target)
            await asyncio.gather(
                self._pump(reader, inner_writer, late=False), self._pump(inner_reader, writer, late=True)
            )
        writer.close()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, late: bool) -> None:
        loop = asyncio.get_running_loop()
        held: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def deliver() -> None:
            while True:
                due, data = await held.get()
                await asyncio.sleep(due - loop.time())
                await self._carries.wait()
                if not data or sink.is_closing():
                    return
                sink.write(data)

        delivering = asyncio.create_task(deliver())
        with suppress(OSError):
            while data := await source.read(CHUNK):
                held.put_nowait((loop.time() + (self._delay if late else 0), data))
        held.put_nowait((loop.time(), b""))
        await delivering
        sink.close()


async def main(port: int, target: int) -> None:
    relay = Relay(target)
    server = await asyncio.start_server(relay.serve, "127.0.0.1", port)
    async with server:
        await relay.obey()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))

"""A server of grpc.aio that does nothing: what no broker in this language can do better than."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import uvloop

from broker.server.grpc.door import Door
from broker.server.grpc.server import OPTIONS
from tests.integration.attacks.ground import Ground, called_by_both
from tests.kit.processes.ports import free_port
from tests.kit.processes.redis_server import die_with_parent

RPC = "/wecom_broker.v1.TokenService/GetAccessToken"


class BareServer:
    """Answers whoever brings credentials, and refuses the others, without looking at anything."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.log = folder / "bare.log"
        self.address = f"127.0.0.1:{free_port()}"
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", __name__, self.address]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=die_with_parent)


@contextmanager
def running_bare(ground: Ground, folder: Path) -> Iterator[Ground]:
    """Run one in the place of the broker that is attacked; everything else is the ground's."""
    server: Any = BareServer(folder)
    place = replace(ground.place, address=server.address)
    try:
        with called_by_both(place) as (neighbour, attacker):
            yield replace(ground, place=place, broker=server, neighbour=neighbour, attacker=attacker)
    finally:
        server.process.kill()
        server.process.wait()


async def _serve(address: str) -> None:
    async def answer(_received: bytes, _context: object) -> bytes:
        return b""

    async def refuse(_received: object, context: Any) -> None:
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, "")

    answering: Any = grpc.unary_unary_rpc_method_handler(answer)
    refusing: Any = grpc.stream_unary_rpc_method_handler(refuse)

    def choose(metadata: Any) -> Any:
        return answering if any(name == "authorization" for name, _ in metadata) else refusing

    door = Door()
    door.add(RPC, choose)
    server = grpc.aio.server(options=OPTIONS)
    server.add_generic_rpc_handlers((door,))
    server.add_insecure_port(address)
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1]))

"""`dev`: simulator and broker, nothing to configure."""

import asyncio
import json
import shlex
import sys
from pathlib import Path

import click

from broker.app.errors import CannotStart
from broker.cli.demo.playground import APP, SUITE, Playground, playground
from broker.cli.ending import fail, run_until_stopped
from broker.cli.options import PORT
from broker.config.load import ConfigError
from broker.server.http.server import system_reason
from broker.simulator import provider_demo
from broker.telemetry.logging import set_up_logging

CHILD = "ww1child000000001"
OPTIONS = {"server.grpc[0]": "--grpc-port", "server.http": "--http-port"}
ANOTHER_PORT = "; is another `dev` running? Choose another port, or 0 for a free one"


@click.command()
@click.option("--grpc-port", type=PORT, default=50051, show_default=True, help="0 chooses a free port.")
@click.option("--http-port", type=PORT, default=8080, show_default=True, help="0 chooses a free port.")
@click.option(
    "--wecom-port",
    type=PORT,
    default=8081,
    show_default=True,
    help="The simulated WeCom's; 0 chooses a free port.",
)
def dev(grpc_port: int, http_port: int, wecom_port: int) -> None:
    """Serve a simulated WeCom and a broker until Ctrl-C, and print lines to copy."""
    set_up_logging("info", "console")
    try:
        run_until_stopped(_dev(grpc_port, http_port, wecom_port))
    except CannotStart as error:
        key, separator, problem = str(error).partition(": ")
        fail(f"{OPTIONS[key]}: {problem}{ANOTHER_PORT}" if key in OPTIONS else key + separator + problem)
    except ConfigError as error:
        fail(str(error))
    except OSError as error:
        fail(f"--wecom-port: cannot listen on 127.0.0.1:{wecom_port}: {system_reason(error)}{ANOTHER_PORT}")


async def _dev(grpc_port: int, http_port: int, wecom_port: int) -> None:
    async with playground(
        grpc_port=grpc_port, http_port=http_port, wecom_port=wecom_port, log_level="info"
    ) as running:
        running.world.console.install(SUITE, provider_demo.PARENT)
        click.echo(lines_to_copy(running))
        await asyncio.Event().wait()


def lines_to_copy(running: Playground) -> str:
    """Return what a newcomer can paste into another terminal, in the same folder."""
    address = running.address
    http = f"http://127.0.0.1:{running.broker.http_port}"
    request = f'{{"target": {{"app": "{APP}", "corp_id": "{CHILD}"}}}}'
    group = running.world.suites.corpid(SUITE, provider_demo.PARENT)
    share = json.dumps({"suite": SUITE, "parent_corpid": group, "corpids": provider_demo.children(2)})
    command, python = program("wecom-broker"), program(Path(sys.executable).name)
    return f"""
broker          {address}   {http}/metrics
simulated WeCom {running.wecom_url}   (what was called: {running.wecom_url}/_simulator/calls)

In another terminal, in this folder:

{command} token get {APP} --corp {CHILD} --address {address}

{command} events tail --address {address}
{command} simulate --event text --corp {CHILD} --callback-url {http}/callback/{APP}

{command} suites list {SUITE} --address {address}
{command} token get {SUITE} --corp {group} --address {address}
curl -d '{share}' {running.wecom_url}/_simulator/suites/install_by_share

grpcurl -plaintext -d '{request}' {address} wecom_broker.v1.TokenService/GetAccessToken

In Python:

{python} - <<'END'
import asyncio
import json
from wecom_broker import Broker

async def main():
    async with Broker("{address}") as broker:
        print(await broker.access_token("{APP}", corp="{CHILD}"))

asyncio.run(main())
END

Ctrl-C ends both.
"""


def program(name: str) -> str:
    """Return how a shell in this folder calls a program of this Python's environment."""
    path = Path(sys.executable).with_name(name)
    return shlex.quote(str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path))

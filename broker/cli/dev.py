"""`dev`: simulator and broker, nothing to configure."""

import asyncio

import click

from broker.app.errors import CannotStart
from broker.cli.ending import fail, run_until_stopped
from broker.cli.options import PORT
from broker.cli.playground import APP, Playground, playground
from broker.config.load import ConfigError
from broker.telemetry.logging import set_up_logging

CHILD = "ww1child000000001"


@click.command()
@click.option("--grpc-port", type=PORT, default=50051, show_default=True, help="0 takes a free one.")
@click.option("--http-port", type=PORT, default=8080, show_default=True, help="0 takes a free one.")
@click.option(
    "--wecom-port",
    type=PORT,
    default=8081,
    show_default=True,
    help="Of the simulated WeCom; 0 takes a free one.",
)
def dev(grpc_port: int, http_port: int, wecom_port: int) -> None:
    """Serve a simulated WeCom and a broker until Ctrl-C, and print lines to copy."""
    set_up_logging("info", "console")
    try:
        run_until_stopped(_dev(grpc_port, http_port, wecom_port))
    except (CannotStart, ConfigError, OSError) as error:
        fail(str(error))


async def _dev(grpc_port: int, http_port: int, wecom_port: int) -> None:
    async with playground(
        grpc_port=grpc_port, http_port=http_port, wecom_port=wecom_port, log_level="info"
    ) as running:
        click.echo(lines_to_copy(running))
        await asyncio.Event().wait()


def lines_to_copy(running: Playground) -> str:
    """Return what a newcomer can paste into another terminal."""
    address = running.address
    callback = f"http://127.0.0.1:{running.broker.http_port}/callback/{APP}"
    request = f'{{"target": {{"app": "{APP}", "corp_id": "{CHILD}"}}}}'
    return f"""
broker          {address}   http://127.0.0.1:{running.broker.http_port}/metrics
simulated WeCom {running.wecom_url}   (what was called: {running.wecom_url}/_simulator/calls)

In another terminal:

  wecom-broker token get {APP} --corp {CHILD} --address {address}

  wecom-broker events tail --address {address}
  wecom-broker simulate --event text --corp {CHILD} --callback-url {callback}

  grpcurl -plaintext -d '{request}' {address} wecom_broker.v1.TokenService/GetAccessToken

In Python:

  import asyncio
  from wecom_broker import Broker
  async def main():
      async with Broker("{address}") as broker:
          print(await broker.access_token("{APP}", corp="{CHILD}"))
  asyncio.run(main())

Ctrl-C ends both.
"""

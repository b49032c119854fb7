"""How the commands reach a broker, and how they print its errors."""

import asyncio
import json
import os
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec

import click
from wecom_broker import AccessToken, Broker, BrokerError, ShareKind, Tls
from wecom_broker.errors import BrokerUnreachable

from broker.cli.ending import fail

Given = ParamSpec("Given")
SHARE_KINDS = {"corp_group": ShareKind.CORP_GROUP, "supply_chain": ShareKind.SUPPLY_CHAIN}

address_option = click.option(
    "--address",
    default="127.0.0.1:50051",
    show_default=True,
    envvar="WECOM_BROKER_ADDRESS",
    help="host:port, dns:///host:port or unix:///path; also by WECOM_BROKER_ADDRESS.",
)
ca_option = click.option(
    "--ca",
    envvar="WECOM_BROKER_CA",
    type=click.Path(exists=True, dir_okay=False),
    help="Use TLS, and trust this CA file.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="For programs.")


def open_broker(address: str, ca: str | None) -> Broker:
    """Return a client; the bearer token comes from WECOM_BROKER_TOKEN, where `ps` does not show it."""
    token = os.environ.get("WECOM_BROKER_TOKEN")
    # gRPC's own error is long, and does not name the variable.
    if token and not (token.isascii() and token.isprintable()):
        fail("WECOM_BROKER_TOKEN: is not a bearer token: it has characters that cannot be sent")
    return Broker(address, token=token, tls=Tls(ca=ca) if ca else None)


def asynchronous(command: Callable[Given, Coroutine[Any, Any, None]]) -> Callable[Given, None]:
    """Run the command's coroutine, and print a broker's error by its reason."""

    @wraps(command)
    def run(*args: Given.args, **kwargs: Given.kwargs) -> None:
        try:
            asyncio.run(command(*args, **kwargs))
        except BrokerError as error:
            if kwargs.get("as_json"):
                report = {"reason": error.reason, "message": error.message, "metadata": dict(error.metadata)}
                click.echo(json.dumps({"error": report}, ensure_ascii=False), err=True)
                raise SystemExit(1) from None
            details = ", ".join(f"{name}={value}" for name, value in sorted(error.metadata.items()))
            hint = "; is it running? see --address" if isinstance(error, BrokerUnreachable) else ""
            fail(f"{error.reason}: {error.message}" + (f" ({details})" if details else "") + hint)
        except KeyboardInterrupt:
            raise SystemExit(130) from None

    return run


def masked(value: str) -> str:
    """Return enough of a secret to recognise it, and no more."""
    return f"{value[:4]}…({len(value)} characters)"


def token_fields(token: AccessToken, *, reveal: bool) -> dict[str, object]:
    """Return what a command shows of a token."""
    return {
        "value": token.value if reveal else masked(token.value),
        "corp_id": token.corp_id,
        "agent_id": token.agent_id,
        "generation": token.generation,
        "expire_time": token.expire_time.isoformat(timespec="seconds"),
    }

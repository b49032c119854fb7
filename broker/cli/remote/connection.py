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
json_option = click.option("--json", "as_json", is_flag=True, help="For programs.")


def tls_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of TLS, and pass what they say as `tls`."""

    @wraps(command)
    def run(*args: Any, ca: str | None, cert: str | None, key: str | None, **kwargs: Any) -> None:  # noqa: ANN401
        if (cert is None) != (key is None):
            fail("--cert and --key go together", code=2)
        command(*args, tls=Tls(ca, cert, key) if ca or cert else None, **kwargs)

    for name, text in (
        ("key", "The private key of --cert."),
        ("cert", "Present this certificate, with TLS."),
        ("ca", "Use TLS, and trust this CA file."),
    ):
        variable = f"WECOM_BROKER_{name.upper()}"
        file = click.Path(exists=True, dir_okay=False)
        run = click.option(f"--{name}", envvar=variable, type=file, help=f"{text} Also by {variable}.")(run)
    return run


def open_broker(address: str, tls: Tls | None) -> Broker:
    """Return a client; the bearer token comes from WECOM_BROKER_TOKEN, where `ps` does not show it."""
    token = os.environ.get("WECOM_BROKER_TOKEN")
    # gRPC's own error is long, and does not name the variable.
    if token and not (token.isascii() and token.isprintable()):
        fail("WECOM_BROKER_TOKEN: is not a bearer token: it has characters that cannot be sent")
    try:
        return Broker(address, token=token, tls=tls)
    except ValueError:
        fail(f"WECOM_BROKER_TOKEN would be sent to {address} without TLS, where others can read it: use --ca")


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

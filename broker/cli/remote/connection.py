"""How the commands reach a broker, and how they print its errors."""

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, ParamSpec

import click
from wecom_broker import AccessToken, Broker, BrokerError, ShareKind, Tls
from wecom_broker.errors import BrokerUnreachable
from wecom_broker.v1.admin_service_pb2 import ListAppsRequest
from wecom_broker.v1.admin_service_pb2_grpc import AdminServiceStub

from broker.cli.ending import fail
from broker.cli.json_line import print_json
from broker.config.checking.wording import did_you_mean
from broker.domain.printable import printable

Given = ParamSpec("Given")
BEARER = "wecom_broker.bearer"
"""Where the context of a command has its bearer token, if an option named a file."""
BEARER_VARIABLE = "WECOM_BROKER_TOKEN"
SHARE_KINDS = {"corp_group": ShareKind.CORP_GROUP, "supply_chain": ShareKind.SUPPLY_CHAIN}

address_option = click.option(
    "--address",
    default="127.0.0.1:50051",
    show_default=True,
    envvar="WECOM_BROKER_ADDRESS",
    help="host:port, dns:///host:port or unix:///path; also by WECOM_BROKER_ADDRESS.",
)
UNREACHABLE = "is it running? see --address, and --ca where it has TLS"
"""What to try where nobody answers."""
json_option = click.option("--json", "as_json", is_flag=True, help="For programs.")


class Bearer(NamedTuple):
    """A bearer token, and how errors name the place that it comes from."""

    token: str
    source: str


def _read_token(context: click.Context, _: click.Parameter, path: Path | None) -> None:
    if path is None:
        return
    # What is not text is no token either, and is refused as such.
    token = path.read_text(encoding="utf-8-sig", errors="replace").strip()
    if not token:
        # A secret that is not mounted yet: neither another token nor none may stand in for it.
        fail(f"--token: {path} is empty", code=2)
    context.meta[BEARER] = Bearer(token, f"--token {path}")


token_option = click.option(
    "--token",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    expose_value=False,
    callback=_read_token,
    help=f"A file with the bearer token; or set {BEARER_VARIABLE}.",
)


def tls_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of TLS, and pass what they say as `tls`; and the option of a bearer token."""

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
    return token_option(run)


def open_broker(address: str, tls: Tls | None) -> Broker:
    """Return a client; the bearer token comes from a file or a variable, where `ps` does not show it."""
    token, source = _bearer()
    # gRPC's own error is long, and does not say where the token comes from.
    if not (token.isascii() and token.isprintable()):
        fail(f"{source}: is not a bearer token: it has characters that cannot be sent")
    try:
        return Broker(address, token=token or None, tls=tls)
    except ValueError:
        if not token:
            raise
        fail(f"{source} would be sent to {address} without TLS, where others can read it: use --ca")


def _bearer() -> Bearer:
    """Return the token of the file, else that of the variable; an empty one if there is neither."""
    given: Bearer | None = click.get_current_context().meta.get(BEARER)
    return given or Bearer(os.environ.get(BEARER_VARIABLE, ""), BEARER_VARIABLE)


def asynchronous(command: Callable[Given, Coroutine[Any, Any, None]]) -> Callable[Given, None]:
    """Run the command's coroutine, and print a broker's error by its reason.

    What the client refuses to send, such as an empty app, ends with exit code 2.
    """

    @wraps(command)
    def run(*args: Given.args, **kwargs: Given.kwargs) -> None:
        try:
            asyncio.run(command(*args, **kwargs))
        except ValueError as error:
            # The client refuses an argument, before it asks the broker.
            refused = "an argument is not text in UTF-8" if isinstance(error, UnicodeError) else str(error)
            if kwargs.get("as_json"):
                _fail_in_json("INVALID_REQUEST", refused, {}, code=2)
            fail(printable(refused), code=2)
        except BrokerError as error:
            if kwargs.get("as_json"):
                _fail_in_json(error.reason, error.message, error.metadata, code=1)
            details = ", ".join(f"{name}={value}" for name, value in sorted(error.metadata.items()))
            hint = _hint(error, kwargs.get("address"), kwargs.get("tls"))
            fail(printable(f"{error.reason}: {error.message}" + (f" ({details})" if details else "") + hint))
        except KeyboardInterrupt:
            raise SystemExit(130) from None

    return run


def _fail_in_json(reason: str, message: str, metadata: Mapping[str, str], *, code: int) -> NoReturn:
    report = {"reason": reason, "message": message, "metadata": dict(metadata)}
    print_json({"error": report}, err=True)
    raise SystemExit(code) from None


def _hint(error: BrokerError, address: Any, tls: Any) -> str:  # noqa: ANN401 - options of any command
    """Return what to try, to put behind an error."""
    if isinstance(error, BrokerUnreachable):
        return f"; {UNREACHABLE}"
    if error.reason == "UNAUTHENTICATED":
        return "; who are you? see --cert, --key and --token"
    if error.reason == "UNKNOWN_APP" and address:
        known = asyncio.run(_known_apps(address, tls))
        return did_you_mean(error.metadata.get("app", ""), known)
    return ""


async def _known_apps(address: str, tls: Tls | None) -> list[str]:
    """Return the names of the apps; none if this caller may not see them."""
    with suppress(BrokerError):
        async with open_broker(address, tls) as broker:
            answer = await broker.ask(AdminServiceStub(broker.channel).ListApps, ListAppsRequest())
            return [app.name for app in answer.apps]
    return []


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

"""`token write`: a token in a file, for programs that read one there."""

import os
import signal
from contextlib import aclosing, suppress
from pathlib import Path

import click
from wecom_broker import AccessToken, Tls

from broker.cli.ending import fail
from broker.cli.json_line import print_json
from broker.cli.remote.connection import (
    SHARE_KINDS,
    address_option,
    asynchronous,
    json_option,
    open_broker,
    tls_options,
)
from broker.cli.remote.target import agent_option, corp_option, kind_option


@click.command()
@click.argument("app")
@corp_option
@kind_option
@agent_option
@click.option(
    "--to",
    "path",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file; only its owner may read it.",
)
@click.option("--once", is_flag=True, help="Write the present token, and end.")
@click.option(
    "--signal",
    "pid_file",
    metavar="PID_FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="After each write, send SIGHUP to the process whose id is in this file.",
)
@address_option
@tls_options
@json_option
@asynchronous
async def write(
    app: str,
    corp: str,
    share_kind: str | None,
    agent_id: int,
    path: Path,
    once: bool,
    pid_file: Path | None,
    address: str,
    tls: Tls | None,
    as_json: bool,
) -> None:
    """Write the access token of APP to a file, now and at each rotation, until Ctrl-C.

    The file is replaced in one step: whoever reads it gets the old token or the new one.
    """
    kind = SHARE_KINDS[share_kind] if share_kind else None
    async with open_broker(address, tls) as broker:
        watch = broker.watch_access_token(app, corp=corp, share_kind=kind, agent_id=agent_id)
        async with aclosing(watch) as tokens:
            async for token in tokens:
                _replace(path, token)
                if pid_file:
                    _notify(pid_file)
                _tell(path, token, as_json=as_json)
                if once:
                    return


def _tell(path: Path, token: AccessToken, *, as_json: bool) -> None:
    """Say what was written, and never the token itself."""
    ends = token.expire_time.isoformat(timespec="seconds")
    if as_json:
        print_json({"file": str(path), "generation": token.generation, "expire_time": ends})
    else:
        click.echo(f"{path}: generation {token.generation}, ends {ends}", err=True)


def _replace(path: Path, token: AccessToken) -> None:
    """Write the token beside the file, and put it in its place."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0), 0o600)
        try:
            os.write(descriptor, token.value.encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        new.replace(path)
    except OSError as error:
        with suppress(OSError):
            new.unlink()
        fail(f"--to: cannot write {path}: {error.strerror}")


def _notify(pid_file: Path) -> None:
    """Send SIGHUP; a process that is not there yet, or any more, will read the file when it starts."""
    try:
        pid = int(pid_file.read_text(encoding="ascii"))
        if pid <= 0:
            raise ValueError(f"{pid} is not the id of a process")  # to kill(2) it means several processes
        os.kill(pid, signal.SIGHUP)
    except (OSError, ValueError, OverflowError) as error:
        click.echo(f"--signal: nobody told: {pid_file}: {error}", err=True)

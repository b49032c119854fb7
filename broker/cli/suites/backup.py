"""`suites export` and `suites import`: permanent codes in a file that only the operator's key opens."""

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from contextlib import aclosing
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import click

from broker.app.audit import record_command
from broker.app.backup import BackupRefused, Restored, export_authorizations, import_authorizations
from broker.app.errors import CannotStart
from broker.cli.configuration import config_option, read_config
from broker.cli.ending import fail
from broker.cli.json_line import print_json
from broker.cli.memory import hide_memory
from broker.domain.audit import AuditTarget
from broker.domain.errors import StoreUnavailable
from broker.domain.suites.authorization import Authorization
from broker.server.http.server import system_reason
from broker.telemetry.logging import set_up_logging

Given = ParamSpec("Given")
Outcomes = Sequence[tuple[Authorization, Restored]]
PERMANENT_CODE = "permanent_code"
KEY_VARIABLE = "WECOM_BROKER_BACKUP_KEY"
MEANINGS = {
    Restored.WRITTEN: "written",
    Restored.REPLACED: "replaced an older one",
    Restored.UNCHANGED: "is there already",
    Restored.KEPT_NEWER: "not written: the store has a newer one (--force replaces it)",
    Restored.UNREADABLE: (
        "not written: what the store has is sealed with a key that is not configured (--force replaces it)"
    ),
    Restored.UNKNOWN_SUITE: "not written: no suite of that name is configured, or one with another suite_id",
    Restored.BUSY: "not written: running brokers go on changing it; try again",
}
FAILED = {Restored.UNREADABLE, Restored.UNKNOWN_SUITE, Restored.BUSY}

key_option = click.option(
    "--key-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help=f"A file with the key that seals the backup, made by `keys new`. Or set {KEY_VARIABLE}.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="For programs.")


def _on_the_store(command: Callable[Given, Coroutine[Any, Any, None]]) -> Callable[Given, None]:
    """Run the command's coroutine, and print what is wrong with the file, the key or the store."""

    @wraps(command)
    def run(*args: Given.args, **kwargs: Given.kwargs) -> None:
        hide_memory()  # a backup is read before the configuration
        set_up_logging("critical", "console")
        try:
            asyncio.run(command(*args, **kwargs))
        except BackupRefused as error:
            fail(str(error))
        except OSError as error:
            if isinstance(error, BrokenPipeError) and not error.filename:
                raise
            # What goes to stdout names no file.
            place = f"{error.filename}: " if error.filename else ""
            fail(f"{place}{system_reason(error)}")
        except StoreUnavailable as error:
            fail(f"store.url: {error.reason}: {error.message}")
        except CannotStart as error:
            in_use = "in use" in str(error)
            fail(f"{error}{'; stop the broker first: SQLite serves one process at a time' if in_use else ''}")

    return run


@click.command("export")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@config_option
@key_option
@json_option
@_on_the_store
async def export(file: Path, path: Path, key_file: Path | None, as_json: bool) -> None:
    """Write all authorisations with their permanent codes to FILE, sealed.

    It reads the store that --config names. With Redis the brokers may go on running; with SQLite stop the
    broker first. FILE must not exist. Keep the key apart from it: without the key nobody can read FILE.
    """
    config = read_config(path, insecure=True)
    if file.exists():
        fail(f"{file} exists already: choose another name")
    exported = await export_authorizations(config, _key(key_file))
    by_suite = Counter(authorization.suite for authorization in exported.authorizations)
    record_command(
        config,
        "suites export",
        {(AuditTarget(suite, kind=PERMANENT_CODE), ""): count for suite, count in by_suite.items()},
    )
    _write(file, exported.file)
    told = {"file": str(file), "count": len(exported.authorizations), "unreadable": exported.unreadable_count}
    if as_json:
        print_json({**told, "suites": by_suite})
    else:
        suites = ", ".join(f"{suite} {count}" for suite, count in sorted(by_suite.items()))
        click.echo(f"{file}: {told['count']} authorisations" + (f" ({suites})" if suites else ""))
    if exported.unreadable_count:
        fail(f"{exported.unreadable_count} more cannot be read: no key of store.seal_keys opens them")


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@config_option
@key_option
@click.option("--force", is_flag=True, help="Replace newer authorisations in the store too.")
@json_option
@_on_the_store
async def import_(file: Path, path: Path, key_file: Path | None, force: bool, as_json: bool) -> None:
    """Write the authorisations of FILE, which `suites export` made, into the store that --config names.

    A newer authorisation in the store stays, unless you say --force. With Redis the brokers may go on
    running, and use what is written at once; with SQLite stop the broker first.
    """
    config = read_config(path, insecure=True)
    # Nothing is put back that could not be recorded.
    record_command(config, "suites import", {})
    outcomes: Counter[Restored] = Counter()
    unsaid: OSError | None = None
    done = import_authorizations(config, _key(key_file), file.read_bytes(), force=force)
    async with aclosing(done) as batches:
        async for batch in batches:
            outcomes.update(outcome for _, outcome in batch)
            try:
                record_command(config, "suites import", _records(batch))
            finally:
                # What cannot be recorded is told all the same; what nobody reads is put back all the same.
                unsaid = unsaid or _tell(batch, as_json=as_json)
    if unsaid:
        raise unsaid
    if not as_json:
        click.echo(", ".join(f"{count} {outcome}" for outcome, count in outcomes.items()) or "nothing in it")
    if FAILED & set(outcomes):
        raise SystemExit(1)


def _records(batch: Outcomes) -> dict[tuple[AuditTarget, str], int]:
    return {
        (AuditTarget(authorization.suite, authorization.corp_id, PERMANENT_CODE), outcome.upper()): 1
        for authorization, outcome in batch
    }


def _tell(batch: Outcomes, *, as_json: bool) -> OSError | None:
    """Print what became of each; return the error if that cannot be printed."""
    try:
        for authorization, outcome in batch:
            _show(authorization, outcome, as_json=as_json)
    except OSError as error:
        return error
    return None


def _show(authorization: Authorization, outcome: Restored, *, as_json: bool) -> None:
    if as_json:
        print_json({"suite": authorization.suite, "corp_id": authorization.corp_id, "outcome": outcome})
    else:
        click.echo(f"{authorization.suite:16} {authorization.corp_id:34} {MEANINGS[outcome]}")


def _key(key_file: Path | None) -> str:
    if key_file:
        # What is not text is no base64 either, and is refused as such.
        key = key_file.read_text(encoding="utf-8-sig", errors="replace")
        if not key.strip():
            fail(f"--key-file: {key_file} is empty", code=2)
    else:
        key = os.environ.get(KEY_VARIABLE, "")
    if not key.strip():
        fail(f"give the key that seals the file by --key-file or {KEY_VARIABLE}; `keys new` makes one")
    return key


def _write(file: Path, content: bytes) -> None:
    """Write a new file that only its owner can read; a failed write leaves none."""
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
    except OSError as error:
        file.unlink()
        # A failed write does not name its file.
        raise OSError(error.errno, error.strerror, str(file)) from None

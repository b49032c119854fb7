"""`audit`: who got, was refused, reported or did what, from the file of the trail."""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path

import click

from broker.cli.audit.reader import TrailReader
from broker.cli.configuration import read_config
from broker.cli.ending import fail
from broker.cli.json_line import print_json
from broker.config.schema import STDOUT
from broker.domain.audit import AuditOutcome, AuditRecord
from broker.domain.printable import printable
from broker.server.http.server import system_reason
from broker.telemetry.audit.line import Malformed, fields_of, read_line

SPAN = re.compile(r"(\d{1,9})([smhd])")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
STDIN = "-"


@dataclass(frozen=True, slots=True)
class Filter:
    """Which records are shown; patterns match as in the rules of callers."""

    caller: str
    action: str
    app: str
    corp_id: str
    outcome: str | None
    since: datetime | None

    def passes(self, record: AuditRecord) -> bool:
        """Return whether the record is shown."""
        patterns = (
            (self.caller, record.caller),
            (self.action, record.action),
            (self.app, record.target.app),
            (self.corp_id, record.target.corp_id),
        )
        return (
            (self.since is None or record.time >= self.since)
            and self.outcome in (None, record.outcome)
            and all(pattern == "*" or fnmatchcase(word, pattern) for pattern, word in patterns)
        )


def moment(_context: click.Context, _option: click.Parameter, given: str | None) -> datetime | None:
    """Return the moment that a span before now or a time means; a time without a zone is local."""
    if given is None:
        return None
    try:
        if span := SPAN.fullmatch(given):
            return datetime.now(UTC) - timedelta(**{UNITS[span[2]]: int(span[1])})
        return datetime.fromisoformat(given).astimezone()
    except (ValueError, OverflowError, OSError):
        raise click.BadParameter(f"{given!r} is neither a span like 1h nor a time (ISO 8601).") from None


@click.command()
@click.argument("file", required=False)
@click.option(
    "--config",
    "path",
    envvar="WECOM_BROKER_CONFIG",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The configuration whose audit.file is read, where FILE is not given.",
)
@click.option("--caller", default="*", help="Only of callers whose name matches.")
@click.option("--action", default="*", help="Only of actions that match, for example 'token.*'.")
@click.option("--app", default="*", help="Only about apps whose name matches.")
@click.option("--corp", "corp_id", default="*", help="Only about corps whose id matches.")
@click.option("--outcome", type=click.Choice([str(outcome) for outcome in AuditOutcome]), help="Only these.")
@click.option("--since", callback=moment, help="Only since: 30s, 15m, 1h, 7d ago, or a time (ISO 8601).")
@click.option("--follow", is_flag=True, help="Go on with what is added, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="For programs: the lines of the trail.")
def audit(
    file: str | None,
    path: Path | None,
    caller: str,
    action: str,
    app: str,
    corp_id: str,
    outcome: str | None,
    since: datetime | None,
    follow: bool,
    as_json: bool,
) -> None:
    """Show the audit trail in FILE, or in the file that the configuration names; - is stdin.

    Lines that are no records are counted and passed over. A log in JSON may be read too.
    """
    place = file or _configured(path)
    shown = Filter(caller, action, app, corp_id, outcome, since)
    reading = Reading()
    try:
        for record in reading.records(_lines(place, follow=follow)):
            if shown.passes(record):
                if as_json:
                    print_json(fields_of(record))
                else:
                    click.echo(line_of(record))
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        fail(f"{place}: {system_reason(error)}")
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    reading.report(place)


class Reading:
    """Lines to records; counts what is none."""

    def __init__(self) -> None:
        self._found = self._malformed = 0

    def records(self, lines: Iterator[bytes]) -> Iterator[AuditRecord]:
        """Yield the records among the lines."""
        for line in lines:
            if not line.strip():
                continue
            try:
                record = read_line(line)
            except Malformed:
                self._malformed += not _is_of_log(line)
                continue
            self._found += 1
            yield record

    def report(self, place: str) -> None:
        """Tell on stderr what was passed over; end with an error if nothing else was there."""
        if not self._malformed:
            return
        problem = f"{place}: {self._malformed} line(s) are no audit records"
        if not self._found:
            fail(problem)
        click.echo(f"warning: {problem}", err=True)


def line_of(record: AuditRecord) -> str:
    """Return the record in one line for people."""
    target = record.target
    who = f"{record.caller or '-'}@{record.peer or '-'}"
    number = target.agent_id or ""
    about = "/".join(
        str(part) for part in (target.app or "-", target.corp_id, target.share_kind, number) if part
    )
    more = [
        target.kind,
        target.user_id,
        target.path,
        f"generation {record.generation}" if record.generation else "",
        record.fingerprint,
        record.reason,
        f"×{record.repeats}" if record.repeats > 1 else "",
    ]
    words = [
        record.time.astimezone().isoformat(sep=" ", timespec="seconds"),
        f"{record.outcome:10}",
        f"{who:28}",
        f"{record.operation or record.action or '-':20}",
        about,
        *filter(None, more),
    ]
    return printable("  ".join(words))


def _configured(path: Path | None) -> str:
    if path is None:
        raise click.UsageError("Name the FILE, or the configuration by --config or WECOM_BROKER_CONFIG.")
    file = read_config(path, insecure=True).audit.file
    if file is None:
        fail("audit.file is not set: the records are in the log. Name its file, if it is in JSON")
    if file == STDOUT:
        fail("audit.file is stdout: name the file to which it goes, or pipe it in and say -")
    return file


def _lines(place: str, *, follow: bool) -> Iterator[bytes]:
    if place == STDIN:
        return iter(sys.stdin.buffer)
    return TrailReader(Path(place)).lines(follow=follow)


def _is_of_log(line: bytes) -> bool:
    """Return whether it is another line of a log in JSON."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.get("event", "audit") != "audit"

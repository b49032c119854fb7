"""`doctor`: says what is wrong with a fleet, or with a configuration, and what to do about it."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click
from rich.cells import cell_len
from wecom_broker import BrokerError

from broker.app.checkup.examination import Wishes
from broker.cli.doctor.configured import examine_configuration
from broker.cli.doctor.running import facts_of, unanswered
from broker.cli.json_line import print_json
from broker.cli.operating.desk import Desk, operating
from broker.domain.printable import printable
from broker.server.diagnosis.examination import examine, worst_first
from broker.server.diagnosis.finding import Finding, Level


@click.command()
@click.option(
    "--config",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Look at what this TOML file names, instead of asking a broker.",
)
@click.option(
    "--callbacks",
    default="",
    metavar="URL",
    help="With --config: https://HOST, under which WeCom reaches /callback/APP. Default: this machine.",
)
@click.option(
    "--again",
    multiple=True,
    metavar="APP",
    help="With --config: try its secret even if a doctor did so before. May be given several times.",
)
@operating
async def doctor(desk: Desk, path: Path | None, callbacks: str, again: tuple[str, ...]) -> None:
    """Say what is wrong with the fleet, why, and what to do; exit 1 if something fails.

    It asks the replica at --address, which knows of the others; WeCom is not asked. With --config it asks no
    broker: it tries DNS, TLS to WeCom, the store and its seal keys, clocks, callbacks, and each secret once.
    A secret that WeCom refused, to a doctor or to the brokers, is not tried again, so both may run in a loop.
    """
    if path:
        found = await examine_configuration(path, Wishes(again, callbacks))
    elif again or callbacks:
        raise click.UsageError("--again and --callbacks go with --config")
    else:
        found = await _of_fleet(desk)
    found = worst_first(found)
    failed = any(finding.level is Level.FAIL for finding in found)
    if desk.as_json:
        print_json({"ok": not failed, "findings": list(map(asdict, found))})
    else:
        _show(found)
    if failed:
        raise SystemExit(1)


async def _of_fleet(desk: Desk) -> list[Finding]:
    try:
        return examine(await facts_of(desk))
    except BrokerError as error:
        return [unanswered(error)]


def _show(found: Sequence[Finding]) -> None:
    widest = max(cell_len(finding.subject) for finding in found)
    for finding in found:
        gap = " " * (widest - cell_len(finding.subject))
        click.echo(f"{finding.level:4}  {printable(finding.subject)}{gap}  {printable(finding.problem)}")
        if finding.remedy:
            click.echo(f"      → {printable(finding.remedy)}")
    counts = {level: sum(finding.level is level for finding in found) for level in Level}
    click.echo(", ".join(f"{count} {level}" for level, count in counts.items() if count))

"""`doctor`: asks a running broker, and says what is wrong with the fleet."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

import click
from wecom_broker import BrokerError
from wecom_broker.errors import BrokerUnreachable
from wecom_broker.v1 import admin_service_pb2 as pb

from broker.cli.doctor import apps, groups, replicas
from broker.cli.doctor.finding import Facts, Finding, Level
from broker.cli.operating import table
from broker.cli.operating.desk import Desk, operating
from broker.cli.printable import printable

CHECKS: Sequence[Callable[[Facts], Iterator[Finding]]] = (
    replicas.replicas,
    replicas.dependencies,
    replicas.clocks,
    replicas.configuration,
    replicas.seal_keys,
    replicas.certificates,
    apps.refusals,
    apps.quotas,
    apps.suites,
    groups.groups,
)
WORST_FIRST = list(Level)
NO_ANSWER = {
    "UNAUTHENTICATED": "say who you are: --cert and --key, or --token",
    "CALLER_NOT_ALLOWED": 'give this caller the action "admin.read" for apps = ["*"] and corps = ["*"]',
}


@click.command()
@operating
async def doctor(desk: Desk) -> None:
    """Say what is wrong with the fleet, why, and what to do; exit 1 if something fails.

    It asks the replica at --address, which knows of the others. WeCom is not asked, so it may run in a loop.
    """
    try:
        found = examine(await _facts(desk))
    except BrokerError as error:
        found = [_unanswered(error)]
    failed = any(finding.level is Level.FAIL for finding in found)
    if desk.as_json:
        desk.print_json({"ok": not failed, "findings": list(map(asdict, found))})
    else:
        _show(found)
    if failed:
        raise SystemExit(1)


def examine(facts: Facts) -> list[Finding]:
    """Return everything that was looked at, the worst first."""
    found = [finding for check in CHECKS for finding in check(facts)]
    return sorted(found, key=lambda finding: WORST_FIRST.index(finding.level))


async def _facts(desk: Desk) -> Facts:
    """Return what the replica knows. Raises BrokerError.

    What it cannot tell while its store is unavailable is left out: the status says that.
    """
    status = await desk.ask(desk.admin.GetStatus, pb.GetStatusRequest())
    listed = await desk.ask(desk.admin.ListApps, pb.ListAppsRequest())
    seen = await desk.ask(desk.admin.ListReplicas, pb.ListReplicasRequest())
    refusals = desk.pages(desk.admin.ListRefusals, pb.ListRefusalsRequest(), "refusals")
    refused = [each async for each in refusals]
    try:
        quotas = (await desk.ask(desk.admin.GetQuotas, pb.GetQuotasRequest())).quotas
        known = (await desk.ask(desk.admin.ListEventGroups, pb.ListEventGroupsRequest())).groups
    except BrokerError as error:
        if error.reason != "STORE_UNAVAILABLE":
            raise
        quotas, known = (), ()
    return Facts(datetime.now(UTC), status, listed.apps, seen.replicas, refused, quotas, known)


def _unanswered(error: BrokerError) -> Finding:
    hint = "is it running? see --address, --ca" if isinstance(error, BrokerUnreachable) else ""
    remedy = NO_ANSWER.get(error.reason, hint)
    return Finding(Level.FAIL, "broker", f"{error.reason}: {error.message}", remedy)


def _show(found: Sequence[Finding]) -> None:
    widest = max(table.width_of(finding.subject) for finding in found)
    for finding in found:
        gap = " " * (widest - table.width_of(finding.subject))
        click.echo(f"{finding.level:4}  {printable(finding.subject)}{gap}  {printable(finding.problem)}")
        if finding.remedy:
            click.echo(f"      → {printable(finding.remedy)}")
    counts = {level: sum(finding.level is level for finding in found) for level in Level}
    click.echo(", ".join(f"{count} {level}" for level, count in counts.items() if count))

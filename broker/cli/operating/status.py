"""`status`: one replica, and what it knows of the fleet."""

from collections.abc import Iterable, Iterator, Sequence

import click
from wecom_broker.errors import BrokerError
from wecom_broker.v1 import admin_service_pb2 as pb

from broker.cli.json_line import print_json
from broker.cli.operating import event_groups, refusals, table
from broker.cli.operating.desk import Desk, operating
from broker.cli.operating.plain import ago, moment, plain
from broker.domain.printable import printable

REPLICA_HEADS = ("replica", "version", "said", "state", "wecom", "credentials", "seal keys", "certificate")
SUITE_HEADS = ("suite", "ticket", "active", "pending", "lost", "to renew", "first permission ends", "problem")


@click.command()
@operating
async def status(desk: Desk) -> None:
    """Show the replica at --address, the others, what WeCom refused, and groups that lag."""
    found = await desk.ask(desk.admin.GetStatus, pb.GetStatusRequest())
    replicas = (await desk.ask(desk.admin.ListReplicas, pb.ListReplicasRequest())).replicas
    refused = [
        each async for each in desk.pages(desk.admin.ListRefusals, pb.ListRefusalsRequest(), "refusals")
    ]
    groups = await _groups(desk)
    if desk.as_json:
        lists = {"replicas": replicas, "refusals": refused, "groups": groups or ()}
        shown = {name: [plain(each) for each in messages] for name, messages in lists.items()}
        print_json({**plain(found), **shown})
        return
    for name, text in facts(found):
        click.echo(f"{name:14}{printable(text)}")
    _section("", REPLICA_HEADS, map(_replica, replicas))
    _section("", SUITE_HEADS, map(_suite, found.suites))
    _section("refused by WeCom, and remembered", refusals.HEADS, map(refusals.row, refused))
    for remedy in dict.fromkeys(refusal.remedy for refusal in refused):
        click.echo(f"→ {printable(remedy)}")
    if groups is None:
        click.echo("groups are not shown: only the store knows them")
    behind = [group for group in groups or () if group.open_count or group.dead_count]
    _section("groups that are behind", event_groups.HEADS, map(event_groups.row, behind))


async def _groups(desk: Desk) -> Sequence[pb.EventGroup] | None:
    """Return the groups; None while the store, which alone knows them, is away."""
    try:
        known: pb.ListEventGroupsResponse = await desk.ask(
            desk.admin.ListEventGroups, pb.ListEventGroupsRequest()
        )
    except BrokerError as error:
        if error.reason != "STORE_UNAVAILABLE":
            raise
        return None
    return known.groups


def facts(found: pb.GetStatusResponse) -> Iterator[tuple[str, str]]:
    """Yield what there is to say of a replica, a name and a text each."""
    yield "replica", f"{found.replica}, version {found.version}, since {moment(found.start_time)}"
    yield "serving", "yes" if found.serving else f"NO: {found.obstacle}"
    for dependency in found.dependencies:
        yield dependency.name, _dependency(dependency)
    yield "servers", _servers(found.store)
    if found.clock.problem:
        yield "clock", f"WRONG: {found.clock.problem}"
    yield "config", _config(found.config)
    yield "seal keys", _keys(found.seal_keys)
    for certificate in found.certificates:
        yield "tls", f"{certificate.file} ends {moment(certificate.end_time)}, {ago(certificate.end_time)}"
    yield "memory", f"{found.credential_count} credentials, {found.watcher_count} watchers"


def _dependency(found: pb.Dependency) -> str:
    if found.healthy:
        return f"ok since {moment(found.since_time)}"
    return f"AWAY since {moment(found.since_time)}: {found.last_error}"


def _servers(found: pb.StoreStatus) -> str:
    told = [f"{one.address}, {_replicas(one)}" for one in found.primaries]
    return f"{found.topology}: {'; '.join(told)}" if told else found.topology


def _replicas(found: pb.StorePrimary) -> str:
    if not found.HasField("lag"):
        return f"{found.replica_count} replicas"
    seconds = found.lag.ToTimedelta().total_seconds()
    return f"{found.replica_count} replicas, {found.lag_bytes} bytes and {seconds:.0f} s behind"


def _config(found: pb.ConfigStatus) -> str:
    text = f"read {moment(found.load_time)}"
    if found.problems:
        text += f"; the last reload was REFUSED: {'; '.join(found.problems)}"
    if found.restart_needed:
        text += f"; a restart is needed for: {', '.join(found.restart_needed)}"
    return text


def _keys(keys: Iterable[pb.SealKeyUse]) -> str:
    return ", ".join(
        f"{key.id} seals" if key.seals else f"{key.id} opens" if key.configured else f"{key.id} is MISSING"
        for key in keys
    )


def _replica(found: pb.ReplicaInfo) -> tuple[object, ...]:
    ends = [each.end_time for each in found.certificates if each.file.endswith(".certificate")]
    name = f"{found.name} *" if found.current else found.name
    if found.unreadable:
        return (name, "-", ago(found.report_time), "sealed with a key that is missing here", *["-"] * 4)
    state = "SILENT" if found.silent else found.obstacle or "serving"
    return (
        name,
        found.version,
        ago(found.report_time),
        "; ".join(filter(None, (state, found.clock_problem))),
        "ok" if found.wecom_healthy else found.wecom_error,
        found.credential_count,
        _keys(found.seal_keys),
        f"ends {ago(ends[0])}" if ends else "-",
    )


def _suite(found: pb.SuiteStatus) -> tuple[object, ...]:
    return (
        found.app,
        ago(found.ticket_time) if found.HasField("ticket_time") else "-",
        found.active_count,
        found.pending_count,
        found.lost_count,
        found.reauthorization_required_count,
        ago(found.next_permission_expire_time) if found.HasField("next_permission_expire_time") else "-",
        found.ticket_problem or "-",
    )


def _section(title: str, heads: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    if found := list(rows):
        click.echo(f"\n{title}" if title else "")
        table.show(heads, found)

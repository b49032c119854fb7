"""`events groups` and `events delete-group`: the groups of all callers."""

from collections.abc import Iterable
from contextlib import suppress

import click
from wecom_broker import Broker, BrokerError
from wecom_broker.v1 import admin_service_pb2 as pb
from wecom_broker.v1.admin_service_pb2_grpc import AdminServiceStub

from broker.cli.ending import fail
from broker.cli.json_line import print_json
from broker.cli.operating.desk import Desk, operating
from broker.cli.operating.plain import plain, span_since
from broker.config.checking.wording import did_you_mean

HEADS = ("app", "group", "open", "dead", "members", "lag", "stuck at", "tried")


@click.command()
@click.argument("app", default="")
@operating
async def groups(desk: Desk, app: str) -> None:
    """Show how far each group is behind, of APP or of all, and the event that it is stuck at."""
    answer = await desk.ask(desk.admin.ListEventGroups, pb.ListEventGroupsRequest(app=app))
    desk.show(answer.groups, HEADS, row)


@click.command("delete-group")
@click.argument("group", metavar="CALLER/GROUP")
@click.argument("app")
@operating
async def delete_group(desk: Desk, group: str, app: str) -> None:
    """Delete a group of APP with its progress; if it comes back, it begins with the oldest event."""
    answer = await desk.ask(desk.admin.DeleteEventGroup, pb.DeleteEventGroupRequest(app=app, group=group))
    if not answer.deleted:
        known = await desk.ask(desk.admin.ListEventGroups, pb.ListEventGroupsRequest(app=app))
        fail(f"{app} has no group {group}" + did_you_mean(group, [each.group for each in known.groups]))
    if desk.as_json:
        print_json(plain(answer))
    else:
        click.echo(f"{group} of {app} is deleted")


async def require_group(broker: Broker, apps: Iterable[str], group: str) -> None:
    """End the command if no such group is known; who may not see groups is not told.

    A group without its caller is the caller's own, whose name is not known here.
    """
    known = set()
    with suppress(BrokerError):
        stub = AdminServiceStub(broker.channel)
        for app in apps:
            answer = await broker.ask(stub.ListEventGroups, pb.ListEventGroupsRequest(app=app))
            known |= {each.group for each in answer.groups}
        if not any(name == group or name.endswith(f"/{group}") for name in known):
            fail(f"no such group: {group}{did_you_mean(group, sorted(known))}")


def row(found: pb.EventGroup) -> tuple[object, ...]:
    """Return the cells of a group."""
    return (
        found.app,
        found.group,
        found.open_count,
        found.dead_count,
        found.member_count,
        span_since(found.oldest_time) if found.HasField("oldest_time") else "-",
        found.oldest_event_id or "-",
        found.failed_attempt_count or "-",
    )

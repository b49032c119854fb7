"""`events`: what WeCom sent, and which groups gave up what."""

from datetime import datetime

import click
from wecom_broker import Event, Tls

from broker.cli.ending import say_none
from broker.cli.json_line import print_json
from broker.cli.operating.event_groups import delete_group, groups, require_group
from broker.cli.remote.connection import (
    address_option,
    asynchronous,
    json_option,
    open_broker,
    tls_options,
)
from broker.cli.shell.suggestions import Group
from broker.domain.printable import printable

fields_option = click.option("--fields", is_flag=True, help="Show the messages too, with what people wrote.")


def moment_or_id(given: str) -> datetime | str:
    """Return a time, local if it names no zone, or the id of an event."""
    try:
        return datetime.fromisoformat(given).astimezone()
    except (ValueError, OverflowError, OSError):
        app, _, position = given.partition(":")
        if not (app and position.replace("-", "").isdigit()):
            raise click.BadParameter(f"{given!r} is neither a time nor the id of an event.") from None
        return given


@click.group(cls=Group)
def events() -> None:
    """Events that WeCom sends to the callback URLs of a running broker."""


events.add_command(groups)
events.add_command(delete_group)


@events.command()
@click.option("--app", "apps", multiple=True, help="Only of this app; may be repeated.")
@click.option("--type", "types", multiple=True, help="Only of this type; may be repeated.")
@click.option("--group", default="", help="Join this group; without a group you only observe.")
@click.option("--since", type=moment_or_id, help="Start at this time (ISO 8601), or at this event's id.")
@fields_option
@address_option
@tls_options
@json_option
@asynchronous
async def tail(
    apps: tuple[str, ...],
    types: tuple[str, ...],
    group: str,
    since: datetime | str | None,
    fields: bool,
    address: str,
    tls: Tls | None,
    as_json: bool,
) -> None:
    """Show each event as it comes, until Ctrl-C.

    With --group the command is a member of the group: the other members do not get the events that it shows
    and acknowledges, and --since sets the whole group back.
    """
    async with (
        open_broker(address, tls) as broker,
        broker.events(group, apps=apps, event_types=types, replay_from=since) as found,
    ):
        async for event in found:
            _show(event, fields=fields, as_json=as_json)


@events.command()
@click.argument("group", metavar="[CALLER/]GROUP")
@click.argument("app")
@fields_option
@address_option
@tls_options
@json_option
@asynchronous
async def dead(group: str, app: str, fields: bool, address: str, tls: Tls | None, as_json: bool) -> None:
    """Show the events of APP that GROUP gave up after too many tries."""
    async with open_broker(address, tls) as broker:
        found = False
        async for event in broker.dead_events(group, app):
            found = True
            _show(event, fields=fields, as_json=as_json)
        if not found:
            await require_group(broker, [app], group)
            say_none(as_json=as_json)


@events.command()
@click.argument("group", metavar="[CALLER/]GROUP")
@click.argument("event_ids", metavar="EVENT_ID...", nargs=-1, required=True)
@address_option
@tls_options
@json_option
@asynchronous
async def retry(group: str, event_ids: tuple[str, ...], address: str, tls: Tls | None, as_json: bool) -> None:
    """Queue events that GROUP gave up for redelivery."""
    async with open_broker(address, tls) as broker:
        count = await broker.retry_dead_events(group, event_ids)
        if not count:
            await require_group(broker, {given.partition(":")[0] for given in event_ids}, group)
    if as_json:
        print_json({"retried_count": count})
        return
    events_queued = f"{count} event{'' if count == 1 else 's'} queued for redelivery"
    if not count:
        events_queued += f": {group} has given none of them up"
    click.echo(events_queued)


def _show(event: Event, *, fields: bool, as_json: bool) -> None:
    if as_json:
        print_json(_message(event, fields=fields))
        return
    click.echo(_line(event))
    for name, value in sorted(event.fields.items()) if fields else ():
        click.echo(f"    {printable(name):16} {printable(value)}")


def _line(event: Event) -> str:
    kind = f"{event.event_type}/{event.change_type}" if event.change_type else event.event_type
    corp = f"{event.corp_id}?" if event.corp_unknown else event.corp_id
    time = event.create_time.astimezone().isoformat(sep=" ", timespec="seconds")
    words = (time, event.app, corp, kind, event.user_id or "-", event.event_id)
    return "  ".join(map(printable, words))


def _message(event: Event, *, fields: bool) -> dict[str, object]:
    message: dict[str, object] = {"fields": dict(event.fields), "xml": event.xml} if fields else {}
    return {
        "event_id": event.event_id,
        "app": event.app,
        "corp_id": event.corp_id,
        "corp_unknown": event.corp_unknown,
        "share_kind": event.share_kind or "",
        "agent_id": event.agent_id,
        "user_id": event.user_id,
        "event_type": event.event_type,
        "change_type": event.change_type,
        "create_time": event.create_time.isoformat(),
        "receive_time": event.receive_time.isoformat(),
        "delivery_count": event.delivery_count,
        **message,
    }

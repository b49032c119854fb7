"""`retry`: has the fleet forget what WeCom refused to an app."""

import click
from wecom_broker.v1 import admin_service_pb2 as pb

from broker.cli.json_line import print_json
from broker.cli.operating.desk import Desk, operating
from broker.cli.operating.plain import ago, plain, word_of

HEADS = ("app", "corp", "what", "reason", "errcode", "since", "next try", "calls", "callers")


@click.command()
@click.argument("app")
@operating
async def retry(desk: Desk, app: str) -> None:
    """Forget on every replica what WeCom refused to APP, once you have changed something at WeCom.

    For a suite it also acknowledges the installations that are LOST: they are no longer shown.
    Once a minute at most, and three times an hour for a refused secret: WeCom bars an address that repeats a
    wrong one.
    """
    answer = await desk.ask(desk.admin.RetryRefused, pb.RetryRefusedRequest(app=app))
    if desk.as_json:
        print_json(plain(answer))
        return
    if count := answer.acknowledged_count:
        click.echo(f"{count} lost installation{'' if count == 1 else 's'} of {app} acknowledged")
    if count := answer.cleared_count:
        click.echo(f"{count} refusal{'' if count == 1 else 's'} of {app} forgotten: the next call tries")
    elif not answer.acknowledged_count:
        click.echo(f"nothing is remembered of {app}: each call tries already")


def row(found: pb.Refusal) -> tuple[object, ...]:
    """Return the cells of a refusal."""
    what = word_of(pb.CredentialKind.DESCRIPTOR, found.kind) or (
        "share list" if found.app else found.endpoint
    )
    return (
        found.app or "-",
        found.corp_id or "-",
        what,
        found.reason,
        found.errcode or "-",
        ago(found.since_time),
        ago(found.retry_time),
        found.call_count,
        found.caller_count,
    )

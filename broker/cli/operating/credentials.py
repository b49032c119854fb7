"""`credentials` and `refresh`."""

import click
from wecom_broker.v1 import admin_service_pb2 as pb
from wecom_broker.v1.target_pb2 import Target

from broker.cli.json_line import print_json
from broker.cli.operating.desk import Desk, operating
from broker.cli.operating.plain import ago, plain, span, word_of
from broker.cli.remote.connection import SHARE_KINDS
from broker.cli.remote.target import agent_option, corp_option, kind_option

KINDS = {
    word_of(pb.CredentialKind.DESCRIPTOR, value.number): value.number
    for value in pb.CredentialKind.DESCRIPTOR.values
    if value.number
}
HEADS = ("app", "corp", "kind", "state", "ends", "age", "watchers", "last error")


@click.command()
@click.argument("app", default="")
@operating
async def credentials(desk: Desk, app: str) -> None:
    """Show the credentials that this replica was asked for, of APP or of all; never a value."""
    request = pb.ListCredentialsRequest(app=app)
    found = [each async for each in desk.pages(desk.admin.ListCredentials, request, "credentials")]
    desk.show(found, HEADS, row)


@click.command()
@click.argument("app")
@corp_option
@kind_option
@agent_option
@click.option("--kind", type=click.Choice(list(KINDS)), default="access_token", show_default=True)
@operating
async def refresh(desk: Desk, app: str, corp: str, share_kind: str | None, agent_id: int, kind: str) -> None:
    """Have a credential of APP fetched anew, despite what WeCom refused before."""
    shared = f"SHARE_KIND_{SHARE_KINDS[share_kind].name if share_kind else 'UNSPECIFIED'}"
    target = Target(app=app, corp_id=corp, agent_id=agent_id, share_kind=shared)
    request = pb.RefreshCredentialRequest(target=target, kind=pb.CredentialKind.Name(KINDS[kind]))
    answer = await desk.ask(desk.admin.RefreshCredential, request)
    if desk.as_json:
        print_json(plain(answer))
        return
    outcome = "rotated" if answer.rotated else "WeCom gave the same value again"
    ends = ago(answer.credential.expire_time)
    click.echo(f"{outcome}: generation {answer.credential.generation}, ends {ends}")


def row(found: pb.CredentialInfo) -> tuple[object, ...]:
    """Return the cells of a credential."""
    return (
        found.app,
        found.corp_id or "-",
        word_of(pb.CredentialKind.DESCRIPTOR, found.kind),
        word_of(pb.CredentialState.DESCRIPTOR, found.state),
        ago(found.expire_time) if found.HasField("expire_time") else "-",
        span(found.age.ToTimedelta()) if found.HasField("age") else "-",
        found.watcher_count or "-",
        f"{found.last_error} ({ago(found.last_error_time)})" if found.last_error else "-",
    )

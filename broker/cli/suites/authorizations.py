"""`suites list`, `suites show` and `suites install-url`: they ask a running broker."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime

import click
from wecom_broker import Authorization, AuthorizedAgent, Edition, Tls

from broker.cli.ending import say_none
from broker.cli.json_line import print_json
from broker.cli.remote.connection import address_option, asynchronous, json_option, open_broker, tls_options
from broker.domain.printable import printable


@click.command("list")
@click.argument("suite")
@address_option
@tls_options
@json_option
@asynchronous
async def list_(suite: str, address: str, tls: Tls | None, as_json: bool) -> None:
    """Show which corps authorised SUITE, and installations that are under way or lost."""
    async with open_broker(address, tls) as broker:
        found = False
        async for authorization in broker.authorizations(suite):
            found = True
            if as_json:
                print_json(asdict(authorization), default=_moment)
            else:
                click.echo(_line(authorization))
    if not found:
        say_none(as_json=as_json)


@click.command()
@click.argument("suite")
@click.argument("corp")
@click.option("--refresh", is_flag=True, help="Have the broker read it at WeCom again.")
@address_option
@tls_options
@json_option
@asynchronous
async def show(suite: str, corp: str, refresh: bool, address: str, tls: Tls | None, as_json: bool) -> None:
    """Show what CORP allows SUITE."""
    async with open_broker(address, tls) as broker:
        call = broker.refresh_authorization if refresh else broker.authorization
        found = await call(suite, corp)
    if as_json:
        print_json(asdict(found), default=_moment)
    else:
        click.echo("\n".join(map(printable, _details(found))))


@click.command("install-url")
@click.argument("suite")
@click.option("--redirect-uri", required=True, help="Where WeCom sends the administrator back to.")
@click.option("--state", default="", help="Letters and digits; an unguessable one by default.")
@click.option("--test", "test_install", is_flag=True, help="Install a suite that is not published yet.")
@address_option
@tls_options
@json_option
@asynchronous
async def install_url(
    suite: str,
    redirect_uri: str,
    state: str,
    test_install: bool,
    address: str,
    tls: Tls | None,
    as_json: bool,
) -> None:
    """Make a link by which a corp's administrator installs SUITE, a third-party app."""
    async with open_broker(address, tls) as broker:
        link = await broker.install_url(suite, redirect_uri, state=state, test_install=test_install)
    if as_json:
        print_json(asdict(link), default=_moment)
        return
    click.echo(link.url)
    click.echo(f"{'state':12} {link.state}")
    click.echo(f"{'expire_time':12} {_moment(link.expire_time)}")


def _line(found: Authorization) -> str:
    agent = found.agents[0].agent_id if found.agents else ""
    installed = _moment(found.install_time)
    more = " ".join(filter(None, (found.corp_name, f"({found.problem})" if found.problem else "")))
    line = f"{found.corp_id or '-':32} {agent:>10}  {_state(found):24}  {installed}  {more}"
    return printable(line.rstrip())


def _details(found: Authorization) -> Iterator[str]:
    """Yield what is known, a name and a value a line."""
    fields = {
        "corp_id": found.corp_id,
        "corp_name": found.corp_name,
        "state": _state(found),
        "problem": found.problem,
        "auth_mode": found.auth_mode or "",
        "installer": found.installer_user_id,
        "install_state": found.install_state,
        "install_time": _moment(found.install_time),
        "update_time": _moment(found.update_time),
    }
    for name, value in fields.items():
        if value:
            yield f"{name:14} {value}"
    for agent in found.agents:
        yield f"{'agent':14} {agent.agent_id}  {agent.name}".rstrip()
        yield from _agent_details(agent)


def _agent_details(agent: AuthorizedAgent) -> Iterator[str]:
    if parent := agent.shared_from:
        yield f"{'  shared_from':14} {parent.corp_id}  {parent.share_kind or ''}".rstrip()
    if edition := agent.edition:
        yield f"{'  edition':14} {_edition(edition)}"
    for permission in agent.permissions:
        until = f"  until {_moment(permission.expire_time)}" if permission.expire_time else ""
        yield f"{'  permission':14} {permission.name}{until}"


def _edition(edition: Edition) -> str:
    until = f", until {_moment(edition.expire_time)}" if edition.expire_time else ""
    paid = ", paid by another corp" if edition.shared_from_other_corp else ""
    return f"{edition.edition_name or edition.edition_id}, {edition.user_limit} users{until}{paid}"


def _state(found: Authorization) -> str:
    return found.state or "unknown"


def _moment(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")

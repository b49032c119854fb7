"""`suites`: its commands."""

import click

from broker.cli.shell.suggestions import Group
from broker.cli.suites import authorizations, backup


@click.group(cls=Group)
def suites() -> None:
    """Third-party suites (第三方应用) and 代开发: the corps that authorised them, install links, backups."""


suites.add_command(authorizations.list_)
suites.add_command(authorizations.show)
suites.add_command(authorizations.install_url)
suites.add_command(backup.export)
suites.add_command(backup.import_)

"""The options that name a credential beside its app."""

import click

from broker.cli.options import AGENT_ID
from broker.cli.remote.connection import SHARE_KINDS

corp_option = click.option("--corp", default="", help="A child corp; the app's own by default.")
kind_option = click.option(
    "--share-kind",
    type=click.Choice(sorted(SHARE_KINDS)),
    help="Needed only if both exist.",
)
agent_option = click.option(
    "--agent-id", type=AGENT_ID, default=0, help="Needed only to choose among several."
)

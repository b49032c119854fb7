"""The command line: output for people on a terminal, `--json` for programs, exit 0 only on success."""

import click

import broker
from broker.cli.demo import demo
from broker.cli.dev import dev
from broker.cli.keys import keys
from broker.cli.serve import check_config, serve
from broker.cli.shares import shares
from broker.cli.sign import sign
from broker.cli.simulate import simulate
from broker.cli.token import token


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(broker.__version__, prog_name="wecom-broker")
def main() -> None:
    """Token and credential broker for WeCom (企业微信)."""


for command in (serve, dev, demo, simulate, check_config, token, sign, shares, keys):
    main.add_command(command)

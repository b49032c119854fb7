"""The command line: output for people on a terminal, `--json` for programs, exit 0 only on success."""

import io
import os
import sys
from importlib import import_module
from typing import Any

import click

import broker
from broker.cli.serving.garbage import spare_what_is_imported
from broker.cli.shell.suggestions import Group

# gRPC's C code writes lines of its own to stderr, one for each TLS handshake that fails, and anybody can
# cause those. It reads this when it is imported; errors are still shown.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

COMMANDS = {
    "serve": "serving.command:serve",
    "dev": "demo.dev:dev",
    "demo": "demo.command:demo",
    "simulate": "simulating.command:simulate",
    "check-config": "check_config:check_config",
    "token": "remote.token:token",
    "sign": "remote.sign:sign",
    "shares": "remote.shares:shares",
    "events": "remote.events:events",
    "suites": "suites.command:suites",
    "doctor": "doctor.command:doctor",
    "status": "operating.status:status",
    "credentials": "operating.credentials:credentials",
    "refresh": "operating.credentials:refresh",
    "quotas": "operating.quotas:quotas",
    "retry": "operating.refusals:retry",
    "log-level": "operating.log_level:log_level",
    "audit": "audit.command:audit",
    "keys": "keys:keys",
    "completion": "shell.completion:completion",
}
"""The module and function of each command, imported when it is called."""


class Commands(Group):
    """Find commands by name, and import them only then."""

    def main(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - click's signature
        """Run the command; a character that the terminal cannot show is no error."""
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        return super().main(*args, **kwargs)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the command; None if there is none of that name."""
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, _, name = place.partition(":")
        with spare_what_is_imported():
            found: click.Command = getattr(import_module(f"broker.cli.{module}"), name)
        return found


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(broker.__version__, prog_name="wecom-broker")
def main() -> None:
    """Token and credential broker for WeCom (企业微信)."""

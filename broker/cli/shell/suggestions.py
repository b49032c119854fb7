"""Groups of commands that tell in whole sentences what each does, and which one was probably meant."""

import click

from broker.config.checking.wording import did_you_mean

LONGEST = 200
"""Characters of the first sentence of a command's help."""


class Group(click.Group):
    """A group that guesses at a mistyped command; click itself guesses at options."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what each command does in a whole sentence, which click cuts to fit a line."""
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, each.get_short_help_str(LONGEST)) for name, each in found if each])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the words name. Raises `click.UsageError`, with a suggestion."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            if guess := did_you_mean(args[0], self.list_commands(ctx)):
                raise click.UsageError(f"{error.message.rstrip('.')}{guess}", ctx) from None
            raise

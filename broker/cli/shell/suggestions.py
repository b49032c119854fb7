"""Groups of commands that say which one was probably meant."""

import click

from broker.config.checking.wording import did_you_mean


class Group(click.Group):
    """A group that guesses at a mistyped command; click itself guesses at options."""

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

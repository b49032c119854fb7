"""The types of the commands' options."""

from datetime import timedelta

import click

PORT = click.IntRange(0, 65535)
AGENT_ID = click.IntRange(0, 2**63 - 1)


def seconds(given: str | float) -> timedelta:
    """Return a number of seconds, not negative, as a span."""
    try:
        span = timedelta(seconds=float(given))
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{given!r} is not a number of seconds.") from None
    if span < timedelta(0):
        raise click.BadParameter(f"{given!r} is negative.")
    return span

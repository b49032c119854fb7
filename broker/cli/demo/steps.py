"""The steps of the demo: printed as they begin, and checked."""

import click


class DemoFailed(Exception):
    """A step did not do what it shows."""


def say(line: str) -> None:
    """Print the title of a step."""
    click.echo(f"\n{line}")


def expect(happened: bool, what: str) -> None:
    """Return if the step did what it shows. Raises `DemoFailed`."""
    if not happened:
        raise DemoFailed(f"this did not happen: {what}")

"""How the demo tells what it does."""

import click


class DemoFailed(Exception):
    """A step did not do what it shows."""


def say(line: str) -> None:
    """Begin a step."""
    click.echo(f"\n{line}")


def expect(happened: bool, what: str) -> None:
    """Go on only if the step did what it shows. Raises `DemoFailed`."""
    if not happened:
        raise DemoFailed(f"it was to be seen that {what}")

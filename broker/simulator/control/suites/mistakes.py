"""What the console refuses, as mistakes in the fields of a request."""

from collections.abc import Iterator
from contextlib import contextmanager

from broker.simulator.control.form import ControlMistake


@contextmanager
def mistakes_in(*fields: str) -> Iterator[None]:
    """Report what does not exist, or what WeCom does not allow, as a mistake in these fields."""
    try:
        yield
    except (LookupError, ValueError) as mistake:
        raise ControlMistake(", ".join(fields), str(mistake)) from None

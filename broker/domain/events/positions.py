"""Positions in an event log: "<13 digits of milliseconds>-<6 digits>", so that they sort as text."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
FIRST = "0000000000000-000000"
LAST = "9999999999999-999999"
"""After the end of every log; no entry has this position."""

LONGEST_WRITTEN = 100
"""Python refuses to read numbers of thousands of digits."""


def next_position(newest: str, now: int) -> str:
    """Return a position for that millisecond, after the newest even if the clock was set back."""
    milliseconds, number = (int(part) for part in (newest or FIRST).split("-"))
    if now > milliseconds:
        return f"{now:013d}-000000"
    return f"{milliseconds:013d}-{number + 1:06d}" if number < 999_999 else f"{milliseconds + 1:013d}-000000"  # noqa: PLR2004 - six digits


def tidy(position: str) -> str:
    """Return the position with all its digits; an invalid one becomes `LAST`, "" stays."""
    if not position:
        return ""
    milliseconds, _, number = position.partition("-")
    if not (position.isascii() and milliseconds.isdigit() and number.isdigit()):
        return LAST
    if len(position) > LONGEST_WRITTEN:
        return LAST
    written = f"{int(milliseconds):013d}-{int(number):06d}"
    return written if len(written) == len(LAST) else LAST


def position_at(moment: datetime) -> str:
    """Return the first position of a moment's millisecond."""
    return f"{max(0, (moment - EPOCH) // MILLISECOND):013d}-000000"


def position_before(position: str) -> str:
    """Return a position just before this one: a read after it includes this one."""
    milliseconds, number = (int(part) for part in position.split("-"))
    if number:
        return f"{milliseconds:013d}-{number - 1:06d}"
    return f"{max(milliseconds - 1, 0):013d}-999999"


def milliseconds_of(position: str) -> int:
    """Return when the entry at that position arrived, in milliseconds since 1970."""
    return int(position.partition("-")[0])

"""Places in an event log: "<13 digits of milliseconds>-<6 digits>", so that they sort as text."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
FIRST = "0000000000000-000000"
LAST = "9999999999999-999999"
"""Ahead of every log; no entry is there."""


def next_place(newest: str, now: int) -> str:
    """Return the place of what comes at that millisecond; it is after the newest, whatever the clock did."""
    milliseconds, number = (int(part) for part in (newest or FIRST).split("-"))
    if now > milliseconds:
        return f"{now:013d}-000000"
    return f"{milliseconds:013d}-{number + 1:06d}" if number < 999_999 else f"{milliseconds + 1:013d}-000000"  # noqa: PLR2004 - six digits


def tidy(place: str) -> str:
    """Return the place with all its digits; what is no place is ahead of every log, "" stays."""
    if not place:
        return ""
    milliseconds, _, number = place.partition("-")
    if not (place.isascii() and milliseconds.isdigit() and number.isdigit()):
        return LAST
    written = f"{int(milliseconds):013d}-{int(number):06d}"
    return written if len(written) == len(LAST) else LAST


def place_at(moment: datetime) -> str:
    """Return the first place of a moment's millisecond."""
    return f"{max(0, (moment - EPOCH) // MILLISECOND):013d}-000000"


def place_before(place: str) -> str:
    """Return a place after which everything at or after this one comes."""
    milliseconds, number = (int(part) for part in place.split("-"))
    if number:
        return f"{milliseconds:013d}-{number - 1:06d}"
    return f"{max(milliseconds - 1, 0):013d}-999999"


def milliseconds_of(place: str) -> int:
    """Return when the entry at that place came, in milliseconds since 1970."""
    return int(place.partition("-")[0])

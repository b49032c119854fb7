"""Places in an event log: "<13 digits of milliseconds>-<6 digits>", so that they sort as text."""

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


def place_at(milliseconds: int) -> str:
    """Return the first place of that millisecond."""
    return f"{max(0, milliseconds):013d}-000000"


def milliseconds_of(place: str) -> int:
    """Return when the entry at that place came, in milliseconds since 1970."""
    return int(place.partition("-")[0])

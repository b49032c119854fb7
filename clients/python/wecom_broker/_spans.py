"""Spans of time, given as a timedelta or in seconds."""

from __future__ import annotations

from datetime import timedelta
from typing import TypeAlias

Span: TypeAlias = "timedelta | float"


def span(name: str, given: Span) -> timedelta:
    """Return the argument called `name` as a timedelta. Raises TypeError and ValueError, which name it."""
    if isinstance(given, timedelta):
        return given
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise TypeError(f"{name} must be a timedelta or a number of seconds, not {type(given).__name__}")
    try:
        return timedelta(seconds=given)
    except (ValueError, OverflowError):
        raise ValueError(f"{name} must be a finite number of seconds, not {given}") from None


def positive_span(name: str, given: Span) -> timedelta:
    """Return the argument called `name` as a timedelta above zero. Raises TypeError and ValueError."""
    checked = span(name, given)
    if checked <= timedelta(0):
        raise ValueError(f"{name} must be greater than zero")
    return checked

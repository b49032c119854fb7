"""Time and randomness, as arguments."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from broker.domain.corps import AppShare, ShareKind
from broker.domain.credentials import Credential, Grant
from broker.domain.errors import BrokerError
from broker.domain.event_log import Lag
from broker.domain.secret import Secret
from broker.domain.users import User


class Clock(Protocol):
    """Time, as an argument."""

    def now(self) -> datetime:
        """Return the fleet's time: aware, UTC."""

    async def sleep(self, duration: timedelta) -> None:
        """Wait that long."""


class Randomness(Protocol):
    """Randomness, as an argument."""

    def jitter(self, duration: timedelta, spread: float = 0.2) -> timedelta:
        """Return the duration, up to `spread` of it longer or shorter."""

    def unguessable(self) -> str:
        """Return 32 letters and digits that nobody can guess."""

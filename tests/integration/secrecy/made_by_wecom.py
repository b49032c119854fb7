"""The secrets that WeCom makes, all of random bytes, and that none is missed."""

import base64
import random
from contextlib import suppress

from broker.simulator import World
from broker.simulator.provider_demo import PARENT, child
from broker.simulator.world.tokens import AppToken, ProviderToken, SuiteToken
from tests.integration.suites.three_kinds import (
    MARKET,
    TAILORED,
)

NAMES = {160: "token", 64: "ticket or auth_code", 32: "permanent code, login code", 16: "session key"}
"""What WeCom makes of so many random bytes."""


class Noted(random.SystemRandom):
    """Note everything that WeCom makes."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[bytes] = []

    def randbytes(self, n: int) -> bytes:
        """Return random bytes."""
        made = super().randbytes(n)
        self.made.append(made)
        return made


def permanent_codes_of(world: World) -> set[str]:
    corps = [(suite, corp) for suite in (MARKET, TAILORED) for corp in (PARENT, child(1), child(2), child(3))]
    found = set()
    for suite, corp in corps:
        with suppress(LookupError):
            found.add(world.suites.authorization(suite, corp).permanent_code)
    return found


def check_that_all_kinds_are_among(world: World, permanent_codes: set[str], made: list[bytes]) -> None:
    """Fail if a secret of WeCom's is not among what it made of random bytes."""
    values = {text_of(value) for value in made} | {base64.b64encode(value).decode() for value in made}
    kinds = {
        "tokens": {
            value for kind in (AppToken, SuiteToken, ProviderToken) for value in world.books[kind]._by_value
        },
        "suite_tickets": {
            ticket.value for suite in world.suites for ticket in world.suites.tickets._tickets[suite.suite_id]
        },
        "auth_codes": set(world.suites.codes._auth),
        "permanent codes": permanent_codes,
        "session keys": set(world.logins._sessions),
        "user_tickets": set(world.logins._tickets),
    }
    for kind, secrets in kinds.items():
        assert len(secrets) > 2, kind
        assert secrets <= values, kind


def text_of(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")

"""The endpoints by subject; importing this package registers them."""

from broker.simulator.endpoints import (
    addresses,
    agents,
    app_tokens,
    corp_group,
    logins,
    media,
    members,
    messages,
    mini_program,
    suites,
    tickets,
)
from broker.simulator.endpoints.registry import ENDPOINTS

__all__ = [
    "ENDPOINTS",
    "addresses",
    "agents",
    "app_tokens",
    "corp_group",
    "logins",
    "media",
    "members",
    "messages",
    "mini_program",
    "suites",
    "tickets",
]

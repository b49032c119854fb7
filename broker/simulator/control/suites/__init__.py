"""The provider's console, over the control API."""

from broker.simulator.control.suites import (
    addresses,
    changes,
    events,
    installs,
    logins,
    providers,
    reading,
    registry,
    tickets,
)

__all__ = [
    "addresses",
    "changes",
    "events",
    "installs",
    "logins",
    "providers",
    "reading",
    "registry",
    "tickets",
]

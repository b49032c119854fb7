"""The console of a provider, by remote control."""

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

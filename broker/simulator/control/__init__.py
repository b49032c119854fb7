"""The control API under /_simulator: drives the world from another process."""

from broker.simulator.control import callbacks, corps, faults, limits, log, logins, settings, shares, suites
from broker.simulator.control.index import index
from broker.simulator.control.routes import PREFIX, control_routes

__all__ = [
    "PREFIX",
    "callbacks",
    "control_routes",
    "corps",
    "faults",
    "index",
    "limits",
    "log",
    "logins",
    "settings",
    "shares",
    "suites",
]

"""The control API under /_simulator: drives the world from another process."""

from broker.simulator.control import callbacks, corps, faults, limits, log, logins, settings, shares
from broker.simulator.control.routes import control_routes

__all__ = ["callbacks", "control_routes", "corps", "faults", "limits", "log", "logins", "settings", "shares"]

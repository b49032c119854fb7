"""The control API under /_simulator: drives the world from another process."""

from broker.simulator.control import corps, faults, limits, log, logins, settings, shares
from broker.simulator.control.routes import control_routes

__all__ = ["control_routes", "corps", "faults", "limits", "log", "logins", "settings", "shares"]

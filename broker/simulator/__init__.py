"""A WeCom that lies down on request: endpoints, quotas, token death, faults.

Start it with `async with running_simulator(World.demo()) as url:`; change the world while it runs.
"""

from broker.simulator.callbacks.callback import Callback, Whose
from broker.simulator.callbacks.envelope import Format
from broker.simulator.callbacks.kinds import ChangeType, EventKind
from broker.simulator.server import running_simulator, serve
from broker.simulator.world.corps import App, AppId, Corp, Member
from broker.simulator.world.faults import (
    Delay,
    Errcode,
    Hang,
    HttpStatus,
    Junk,
    JunkKind,
    Reset,
    Truncated,
)
from broker.simulator.world.limits import Quota
from broker.simulator.world.settings import Settings
from broker.simulator.world.shares import BusinessType
from broker.simulator.world.tickets import TicketKind
from broker.simulator.world.tokens import Habit
from broker.simulator.world.world import World

__all__ = [
    "App",
    "AppId",
    "BusinessType",
    "Callback",
    "ChangeType",
    "Corp",
    "Delay",
    "Errcode",
    "EventKind",
    "Format",
    "Habit",
    "Hang",
    "HttpStatus",
    "Junk",
    "JunkKind",
    "Member",
    "Quota",
    "Reset",
    "Settings",
    "TicketKind",
    "Truncated",
    "Whose",
    "World",
    "running_simulator",
    "serve",
]

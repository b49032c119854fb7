"""A simulated WeCom that misbehaves on request: endpoints, quotas, dying tokens, faults, callbacks.

Start it with `async with running_simulator(demo_world()) as url:`; the world may be changed while it runs.
"""

from broker.simulator.callbacks.sender import send_event, verify_url
from broker.simulator.crypto import CallbackKeys
from broker.simulator.demo import add_children, demo_world
from broker.simulator.provider_demo import provider_world
from broker.simulator.server import running_simulator, serve
from broker.simulator.world import World
from broker.simulator.world.console.addresses import Channel
from broker.simulator.world.console.install import Door, Install
from broker.simulator.world.corps import App, AppId, Corp, Member
from broker.simulator.world.events.callback import Callback, Format, Whose
from broker.simulator.world.events.kinds import ChangeType, EventKind
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
from broker.simulator.world.settings import CustomizedShare, OldSecretDies, Settings, ShareCdata
from broker.simulator.world.shares import BusinessType
from broker.simulator.world.suites.authorization import Edition
from broker.simulator.world.suites.provider import Provider
from broker.simulator.world.suites.suite import Suite, SuiteKind
from broker.simulator.world.tickets import TicketKind
from broker.simulator.world.tokens import Habit

__all__ = [
    "App",
    "AppId",
    "BusinessType",
    "Callback",
    "CallbackKeys",
    "ChangeType",
    "Channel",
    "Corp",
    "CustomizedShare",
    "Delay",
    "Door",
    "Edition",
    "Errcode",
    "EventKind",
    "Format",
    "Habit",
    "Hang",
    "HttpStatus",
    "Install",
    "Junk",
    "JunkKind",
    "Member",
    "OldSecretDies",
    "Provider",
    "Quota",
    "Reset",
    "Settings",
    "ShareCdata",
    "Suite",
    "SuiteKind",
    "TicketKind",
    "Truncated",
    "Whose",
    "World",
    "add_children",
    "demo_world",
    "provider_world",
    "running_simulator",
    "send_event",
    "serve",
    "verify_url",
]

"""Change habits, settings and the time of the world."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from enum import IntEnum

from broker.simulator.answers import Answer
from broker.simulator.control.form import ControlMistake, Form
from broker.simulator.control.routes import control
from broker.simulator.world import World
from broker.simulator.world.settings import Settings
from broker.simulator.world.tokens import Habit

Reader = Callable[[Form, str], object]


def _errcode(form: Form, name: str) -> int:
    return form.integer(name, least=-1)


class _DeadToken(IntEnum):
    """Name the errcodes with which WeCom may refuse a dead token."""

    INVALID = 40014
    EXPIRED = 42001


def _dead_token(form: Form, name: str) -> int:
    return int(form.choice(name, _DeadToken))


def _lifetime(form: Form, name: str) -> float:
    if not (seconds := form.number(name)):
        raise ControlMistake(name, "should be more than 0")
    return seconds


def _seconds_or_null(form: Form, name: str) -> float | None:
    return None if form.is_null(name) else form.number(name)


_READERS: Mapping[str, Reader] = {
    "token_lifetime": _lifetime,
    "ticket_lifetime": _lifetime,
    "old_value_alive": _seconds_or_null,
    "expiry_errcode": _dead_token,
    "death_errcode": _dead_token,
    "wrong_secret_errcode": _errcode,
    "disabled_app_errcode": _errcode,
    "wrong_secret_limit": lambda form, name: form.integer(name, least=1),
    "ban_seconds": Form.number,
    "ban_covers_everything": Form.flag,
    "unsharing_kills_tokens": Form.flag,
    "tickets_an_hour_of_a_corp": Form.integer,
    "tickets_an_hour_of_an_app": Form.integer,
    "tickets_count_together": Form.flag,
    "code_lifetime": Form.number,
    "used_code_errcode": _errcode,
    "expired_code_errcode": _errcode,
    "user_ticket_lifetime": Form.number,
    "new_session_ends_last": Form.flag,
    "supply_chain_userids_encrypted": Form.flag,
    "callback_ips": Form.texts,
    "omit_errcode": Form.endpoints,
}


@control("POST", "settings")
def change_settings(world: World, form: Form) -> Answer:
    """Change the settings that are given, all or none."""
    changes = {name: read(form, name) for name, read in _READERS.items() if name in form}
    form.finish()
    for name, value in changes.items():
        setattr(world.settings, name, value)
    return shown(world.settings)


@control("POST", "habit")
def change_habit(world: World, form: Form) -> Answer:
    """Choose what repeated fetches return, at one endpoint or at all."""
    habit = form.choice("habit", Habit)
    endpoint = form.endpoint_or_all()
    form.finish()
    world.set_habit(habit, endpoint)
    return shown(world.settings)


@control("POST", "clock")
def advance_clock(world: World, form: Form) -> Answer:
    """Advance the time of this world only."""
    seconds = form.number("seconds")
    form.finish()
    world.advance(seconds)
    return {"now": world.now()}


def shown(settings: Settings) -> Answer:
    """Return the settings as JSON values."""
    return {
        **asdict(settings),
        "habit": settings.habit.value,
        "habits": {path: habit.value for path, habit in settings.habits.items()},
        "omit_errcode": sorted(settings.omit_errcode),
    }

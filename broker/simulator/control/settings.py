"""Change habits, settings and the time of the world."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from enum import IntEnum

from broker.simulator.answers import Answer
from broker.simulator.control.form import ControlMistake, Form
from broker.simulator.control.routes import control
from broker.simulator.world import World
from broker.simulator.world.settings import CustomizedShare, OldSecretDies, Settings, ShareCdata
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


class _UnboundApp(IntEnum):
    """Name the errcodes with which WeCom refuses an app that the mini-program is not bound to."""

    BAD_TOKEN = 40014
    OTHER_APP = 90208


def _unbound_app(form: Form, name: str) -> int:
    return int(form.choice(name, _UnboundApp))


class _NoAuthorization(IntEnum):
    """Name the errcodes with which WeCom refuses a corp that cancelled, or never authorised."""

    BAD_SUITE_TOKEN = 40082
    BAD_PERMANENT_CODE = 40084
    CANCELLED = 48004


def _no_authorization(form: Form, name: str) -> int:
    return int(form.choice(name, _NoAuthorization))


class _DeadSuiteToken(IntEnum):
    """Name the errcodes with which WeCom may refuse a dead token of a suite or a provider."""

    INVALID = 40082
    EXPIRED = 42009


def _dead_suite_token(form: Form, name: str) -> int:
    return int(form.choice(name, _DeadSuiteToken))


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
    "unbound_app_errcode": _unbound_app,
    "user_ticket_lifetime": Form.number,
    "new_session_ends_last": Form.flag,
    "supply_chain_userids_encrypted": Form.flag,
    "callback_ips": Form.texts,
    "omit_errcode": Form.endpoints,
    "suite_ticket_lifetime": _lifetime,
    "suite_tickets_accepted": lambda form, name: None if form.is_null(name) else form.integer(name, least=1),
    "suite_token_lifetime": _lifetime,
    "provider_token_lifetime": _lifetime,
    "expired_suite_token_errcode": _dead_suite_token,
    "dead_suite_token_errcode": _dead_suite_token,
    "auth_code_lifetime": Form.number,
    "pre_auth_code_lifetime": Form.number,
    "suite_user_ticket_lifetime": Form.number,
    "cancelled_errcode": _no_authorization,
    "never_authorized_errcode": _no_authorization,
    "old_secret_dies": lambda form, name: form.choice(name, OldSecretDies),
    "reinstall_keeps_permanent_code": Form.flag,
    "customized_share": lambda form, name: form.choice(name, CustomizedShare),
    "share_cdata": lambda form, name: form.choice(name, ShareCdata),
    "create_auth_for_provider": Form.flag,
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

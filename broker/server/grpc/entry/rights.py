"""The right that each rpc needs: declared at its handler, granted before any answer is sent.

A method without a declaration is not registered. Where only the handler learns which corp a request is
about, the handler grants the permit; its answer is refused if it did not.
"""

from collections.abc import Callable, Collection
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import Any, TypeVar

from broker.domain.access import Action
from broker.domain.caller_policy import CallerPolicy
from broker.domain.errors import CallerNotAllowed
from broker.server.grpc.entry.identity import current_caller
from broker.server.grpc.entry.subjects import Subjects

Handler = TypeVar("Handler", bound=Callable[..., Any])


class Of(Enum):
    """Where the app and the corp that a request is about come from."""

    REQUEST = auto()
    REQUEST_OR_ALL_APPS = auto()
    """A request that names no app is about all of them."""
    HANDLER = auto()
    """The handler: the answer names the corp, or the path has rules of its own."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a caller of an rpc needs."""

    action: Action
    of: Of
    operates: bool = False
    """Whether each call is an operator's action, which the audit trail records."""


class Undeclared(Exception):
    """A method declares no right: it must not be served."""


def requires(action: Action, *, of: Of = Of.REQUEST, operates: bool = False) -> Callable[[Handler], Handler]:
    """Declare the action that a caller of the method needs, and if calls are audited as an operator's."""

    def declare(handler: Handler) -> Handler:
        handler.__dict__["requirement"] = Requirement(action, of, operates)
        return handler

    return declare


def requirement_of(method: str, handler: object) -> Requirement:
    """Return what the handler declares. Raises `Undeclared`."""
    found = getattr(handler, "requirement", None)
    if not isinstance(found, Requirement):
        raise Undeclared(f"{method} is handled without @requires: say which action its caller needs")
    return found


class Permit:
    """The permission of one request, which its handler grants."""

    def __init__(self, method: str, action: Action) -> None:
        self._method = method
        self._checks: list[Callable[[], None]] = []
        self.action = action

    def grant(self, check: Callable[[], None]) -> None:
        """Grant it if the check passes. Raises what the check raises."""
        check()
        self._checks.append(check)

    def demand(self) -> None:
        """Return if it was granted. Raises `CallerNotAllowed`: no answer may be sent without it."""
        if not self._checks:
            raise CallerNotAllowed("the right to this answer was not checked", rpc=self._method)

    def check_again(self) -> None:
        """Return if it would still be granted. Raises `CallerNotAllowed`."""
        for check in self._checks:
            check()


current_permit: ContextVar[Permit] = ContextVar("current_permit")
"""The permit of the request that this task handles, if the handler has to grant it."""


class Rights:
    """What the caller of this request may do, for handlers declared `Of.HANDLER`."""

    def __init__(self, policy: CallerPolicy, subjects: Subjects) -> None:
        self._policy = policy
        self._subjects = subjects

    def grant(self, app: str, corp_id: str, path: str = "") -> None:
        """Grant the permit if the caller may act; no corp id = the app's own. Raises `CallerNotAllowed`."""
        permit, caller, corp = current_permit.get(), current_caller.get(), self._subjects.corp(app, corp_id)
        permit.grant(partial(self._policy.check, caller, permit.action, app, corp, path))

    def grant_somewhere(self, app: str = "") -> None:
        """Grant the permit if the caller has the right for any corp or app. Raises `CallerNotAllowed`."""
        permit, caller = current_permit.get(), current_caller.get()
        permit.grant(partial(self._policy.check_somewhere, caller, permit.action, app))

    def check_somewhere(self, app: str = "") -> None:
        """Return if the caller has the right for any corp or app; grant nothing. Raises as `grant`."""
        self._policy.check_somewhere(current_caller.get(), current_permit.get().action, app)

    def check_other(self, action: Action, app: str) -> None:
        """Return if the caller has the right to another action too, for any corp. Raises as `grant`."""
        self._policy.check_somewhere(current_caller.get(), action, app)

    def visible(self) -> Callable[[str, str], bool]:
        """Return a check, valid outside this task too, of whether this caller may act for an app's corp."""
        caller, action = current_caller.get(), current_permit.get().action
        return lambda app, corp_id: self._policy.may(caller, action, app, corp_id)

    def visible_somewhere(self) -> Callable[[str], bool]:
        """Return a check, valid outside this task too, of whether this caller may act for an app at all."""
        caller, action = current_caller.get(), current_permit.get().action
        return lambda app: self._policy.may_somewhere(caller, action, app)

    def among(self, apps: Collection[str]) -> Callable[[], tuple[str, ...]]:
        """Return what tells, outside this task too, for which of them the caller has the right now.

        It raises as `grant_somewhere` once the caller has it nowhere.
        """
        caller, action = current_caller.get(), current_permit.get().action

        def present() -> tuple[str, ...]:
            self._policy.check_somewhere(caller, action)
            return tuple(app for app in apps if self._policy.may_somewhere(caller, action, app))

        return present

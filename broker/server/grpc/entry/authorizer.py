"""Whether a caller may have a request answered, by the app and the corp that the request names."""

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

from broker.domain.access import Action, Caller
from broker.domain.apps import APP_NAME
from broker.domain.caller_policy import CallerPolicy
from broker.domain.corps import CORP_ID
from broker.domain.errors import BrokerError, CallerNotAllowed
from broker.server.grpc.entry.rights import Of, Permit, Requirement, current_permit
from broker.server.grpc.entry.subjects import Subjects

Authorize = Callable[[Caller, Any], Permit | None]
"""Raise `CallerNotAllowed`, or return; a permit is returned if the handler has to grant it."""
Covers = Callable[[str], bool]
FOUND_OUT = ("app", "corp_id")
"""What a refusal says of a code, a session or an event: it may be a part of the answer that is refused."""


class Authorizer:
    """Hold each request against the rules. What a rule covers is remembered until the rules change.

    What is remembered grows with the configuration, never with what callers send.
    """

    def __init__(self, policy: CallerPolicy, subjects: Subjects) -> None:
        self._policy = policy
        self._subjects = subjects
        self._covered: dict[tuple[str, Action, str], Covers] = {}
        """For a caller, an action and an app, whether the rules cover a corp."""
        policy.on_change(self._covered.clear)

    @property
    def remembered(self) -> int:
        """Return how many callers, actions and apps are remembered."""
        return len(self._covered)

    def of(self, method: str, required: Requirement) -> Authorize:
        """Return the check of the method's requests."""
        policy, subjects, covered = self._policy, self._subjects, self._covered

        def authorize(caller: Caller, request: Any) -> Permit | None:
            if required.of is Of.HANDLER:
                return _permit(method, required)
            if policy.is_open:
                return None
            app, corp_id = named_in(request)
            action = subjects.action(required.action, app, corp_id)
            covers = covered.get((caller.name, action, app))
            if covers and covers(subjects.corp(app, corp_id)):
                return None
            # The handler refuses a missing or malformed name by field: that is no question of rights.
            named = bool(APP_NAME.fullmatch(app)) or (not app and required.of is Of.REQUEST_OR_ALL_APPS)
            if not named or (corp_id and not CORP_ID.fullmatch(corp_id)):
                return _permit(method, required)
            policy.check(caller, action, app, subjects.corp(app, corp_id))
            if subjects.knows(app):
                covered[caller.name, action, app] = _covers(policy.corps(caller, action, app))
            return None

        return authorize


def _covers(patterns: tuple[str, ...]) -> Covers:
    """Return whether the patterns cover a corp id; a malformed one is not covered."""
    if "*" in patterns:
        return lambda corp_id: not corp_id or CORP_ID.fullmatch(corp_id) is not None
    names = frozenset(pattern for pattern in patterns if CORP_ID.fullmatch(pattern))
    others = [pattern for pattern in patterns if pattern not in names]

    def covers(corp_id: str) -> bool:
        if corp_id in names:
            return True
        return CORP_ID.fullmatch(corp_id) is not None and any(fnmatchcase(corp_id, other) for other in others)

    return covers


def _permit(method: str, required: Requirement) -> Permit:
    permit = Permit(method, required.action)
    current_permit.set(permit)
    return permit


def named_in(request: Any) -> tuple[str, str]:
    """Return the app and corp id that a request names; empty if it names none."""
    if hasattr(request, "target"):
        return request.target.app, request.target.corp_id
    corp_id = getattr(request, "corp_id", "") or getattr(request, "parent_corp_id", "")
    return getattr(request, "app", ""), corp_id


def told(error: BrokerError, request: Any) -> BrokerError:
    """Return the error as its caller may know it: with what the request names, not with what we found out.

    The request is None if it was not read. The audit trail has it all.
    """
    if not isinstance(error, CallerNotAllowed):
        return error
    named = {*named_in(request), *getattr(request, "apps", ())}
    known = {name: value for name, value in error.metadata.items() if name not in FOUND_OUT or value in named}
    return CallerNotAllowed(error.message, **known)

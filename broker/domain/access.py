"""Who calls, and what each caller may do: only what the configuration allows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase

from broker.domain.errors import CallerNotAllowed


class Action(StrEnum):
    """What a rule may allow."""

    TOKEN_GET = "token.get"  # noqa: S105 - an action's name
    TOKEN_REPORT = "token.report"  # noqa: S105 - an action's name
    JSSDK_SIGN = "jssdk.sign"
    MINIPROGRAM_SESSION = "miniprogram.session"
    MINIPROGRAM_SESSION_KEY = "miniprogram.session_key"
    IDENTITY_EXCHANGE = "identity.exchange"
    SHARE_READ = "share.read"
    SHARE_SYNC = "share.sync"
    EVENT_SUBSCRIBE = "event.subscribe"
    CALLBACK_OPEN = "callback.open"
    API_CALL = "api.call"
    SUITE_MANAGE = "suite.manage"
    SUITE_TOKEN = "suite.token"  # noqa: S105 - an action's name
    PROVIDER_TOKEN = "provider.token"  # noqa: S105 - an action's name
    ADMIN_READ = "admin.read"
    ADMIN_REFRESH = "admin.refresh"


@dataclass(frozen=True, slots=True)
class Rule:
    """Allow actions on apps in corps; `*` stands for any, in apps and corps."""

    apps: tuple[str, ...]
    corps: tuple[str, ...]
    actions: frozenset[Action]
    paths: tuple[str, ...] = ()

    def allows(self, action: Action, app: str, corp_id: str, path: str = "") -> bool:
        """Return whether this rule covers the action; an empty app means all apps together.

        A path of WeCom must also match `paths`: interfaces are allowed one by one.
        """
        if path and not _matches(self.paths, path):
            return False
        return action in self.actions and _matches(self.apps, app) and _matches(self.corps, corp_id)

    def allows_somewhere(self, action: Action, app: str = "") -> bool:
        """Return whether this rule covers the action in some corp; without an app, for some app."""
        return action in self.actions and (not app or _matches(self.apps, app))


@dataclass(frozen=True, slots=True)
class Caller:
    """A service that may call, recognised by its certificate's name or by a bearer token."""

    name: str
    identity: str = ""
    """`spiffe://…` or `dns:…`, as in the client certificate."""
    token_sha256: str = ""
    rules: tuple[Rule, ...] = ()


ANYONE = Caller("anyone")
"""The caller of a broker without configured callers, which only this machine can reach."""


@dataclass(frozen=True)
class CallerPolicy:
    """Decide on every call, also on memory hits. No callers configured = everyone on this machine."""

    callers: Sequence[Caller] = field(default=())

    @property
    def is_open(self) -> bool:
        """Return whether anyone may do anything."""
        return not self.callers

    def may(self, caller: Caller, action: Action, app: str, corp_id: str, path: str = "") -> bool:
        """Return whether the caller may do this."""
        return self.is_open or any(rule.allows(action, app, corp_id, path) for rule in caller.rules)

    def may_somewhere(self, caller: Caller, action: Action, app: str = "") -> bool:
        """Return whether the caller may do this in some corp; without an app, for some app."""
        return self.is_open or any(rule.allows_somewhere(action, app) for rule in caller.rules)

    def check(self, caller: Caller, action: Action, app: str, corp_id: str, path: str = "") -> None:
        """Return if the caller may do this. Raises `CallerNotAllowed`."""
        if self.may(caller, action, app, corp_id, path):
            return
        raise CallerNotAllowed(
            "the caller may not do this",
            caller=caller.name,
            action=action,
            app=app,
            corp_id=corp_id,
            path=path,
        )

    def check_somewhere(self, caller: Caller, action: Action, app: str = "") -> None:
        """Return if the caller may do this in some corp, before that is known. Raises `CallerNotAllowed`."""
        if self.may_somewhere(caller, action, app):
            return
        raise CallerNotAllowed("the caller may not do this", caller=caller.name, action=action, app=app)


def _matches(patterns: tuple[str, ...], word: str) -> bool:
    return any(pattern == "*" or (word and fnmatchcase(word, pattern)) for pattern in patterns)

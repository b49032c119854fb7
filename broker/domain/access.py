"""Who calls, what a rule allows it, and how often it may ask."""

from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase


class Action(StrEnum):
    """What a rule may allow."""

    TOKEN_GET = "token.get"  # noqa: S105 - an action's name
    TOKEN_REPORT = "token.report"  # noqa: S105 - an action's name
    JSSDK_SIGN = "jssdk.sign"
    JSSDK_REPORT = "jssdk.report"
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
    TICKET_GET = "ticket.get"
    """A ticket's value, which only the facade hands out (design 2.5)."""
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
        if path and not matches(self.paths, path):
            return False
        return action in self.actions and matches(self.apps, app) and matches(self.corps, corp_id)

    def allows_somewhere(self, action: Action, app: str = "") -> bool:
        """Return whether this rule covers the action in some corp; without an app, for some app."""
        return action in self.actions and (not app or matches(self.apps, app))


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one caller may ask for, so that it cannot slow everybody else."""

    calls_per_minute: int = 60_000
    calls_at_once: int = 1_000
    streams: int = 1_000
    """Open at once."""
    forced_per_minute: int = 6
    """What makes the broker call WeCom although it holds something valid: over the whole fleet."""
    facade_tokens_per_minute: int = 30


@dataclass(frozen=True, slots=True)
class Caller:
    """A service that may call, recognised by its certificate's name or by a bearer token."""

    name: str
    identity: str = ""
    """`spiffe://…` or `dns:…`, as in the client certificate."""
    token_sha256: str = ""
    rules: tuple[Rule, ...] = ()
    limits: Limits = Limits()


ANYONE = Caller("anyone")
"""The caller of a broker without configured callers, which only this machine can reach."""


def matches(patterns: tuple[str, ...], word: str) -> bool:
    """Return whether a pattern covers the word; only `*` covers an empty one."""
    return any(pattern == "*" or (word and fnmatchcase(word, pattern)) for pattern in patterns)

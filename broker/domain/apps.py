"""The configured apps, and what callers name: an app, and the corp in which it acts."""

import re
import sys
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from broker.domain.corps import ShareKind
from broker.domain.errors import InvalidRequest
from broker.domain.secret import Secret

APP_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")

NO_AGENT = (
    "is configured without agent_id, or has no agent in this corp, "
    "so it has no shares, no agentConfig and no authorize link"
)


class AppKind(StrEnum):
    """Who built the app."""

    SELF_BUILT = "self_built"
    """The corp itself (自建应用)."""
    THIRD_PARTY = "third_party"
    """A provider, for all corps (第三方应用)."""
    CUSTOMIZED = "customized"
    """A provider, for this corp (代开发应用)."""


@dataclass(frozen=True, slots=True)
class App:
    """An app in one corp: the name that callers use, and the identity behind it.

    A self-built app is configured. A suite has one in each corp that authorised it (`Authorization.app`).
    """

    name: str
    kind: AppKind
    corp_id: str
    agent_id: int
    """0 = none: the secret belongs to no app with an AgentId (通讯录同步, 会话存档, 微信客服)."""
    secret: Secret
    """For a suite, the permanent code: with 代开发 apps, WeCom takes it as any secret (wecom-api B15)."""
    share_kinds: tuple[ShareKind, ...] = (ShareKind.CORP_GROUP,)
    suite_id: str = ""
    """Of a suite's app."""

    @property
    def identity(self) -> str:
        """Return what WeCom knows it by, or its suite: what is stored for another one is not this one's."""
        # One string for all that is held of the app.
        return self.suite_id or sys.intern(f"{self.corp_id}/{self.agent_id}")

    @property
    def parent_corp_id(self) -> str:
        """Return its corp id where that tells its shares from others: a self-built app has one corp only."""
        return "" if self.kind is AppKind.SELF_BUILT else self.corp_id

    def check_agent(self, field: str) -> None:
        """Return if the app has an agent id. Raises `InvalidRequest` with the field that names the app."""
        if not self.agent_id:
            raise InvalidRequest(field, NO_AGENT, app=self.name)


class Target(NamedTuple):
    """The identity that a caller wants to use: an app, and the corp in which it acts."""

    app: str
    corp_id: str = ""
    share_kind: ShareKind | None = None
    agent_id: int = 0
    parent_corp_id: str = ""
    """The corp through which a 代开发 app is shared, where only its share is meant; requests have none."""

"""Corps, the apps that act in them, and the shares that carry an app to child corps."""

import re
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple

from broker.domain.secret import Secret

CORP_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
APP_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


class ShareKind(StrEnum):
    """How an app reaches a corp: its own, or a child through 企业互联 or 上下游."""

    OWN = "own"
    CORP_GROUP = "corp_group"
    SUPPLY_CHAIN = "supply_chain"

    @property
    def business_type(self) -> int:
        """Return WeCom's number for the relation (wecom-api A2)."""
        return 1 if self is ShareKind.SUPPLY_CHAIN else 0


class AppKind(StrEnum):
    """Who built the app: the corp itself (自建应用)."""

    SELF_BUILT = "self_built"


@dataclass(frozen=True, slots=True)
class App:
    """A configured app: the name that callers use, and the identity behind it."""

    name: str
    kind: AppKind
    corp_id: str
    agent_id: int
    secret: Secret
    share_kinds: tuple[ShareKind, ...] = (ShareKind.CORP_GROUP,)


@dataclass(frozen=True, slots=True, order=True)
class AppShare:
    """One share of an app with a child corp; `agent_id` is the child's (wecom-api G1)."""

    share_kind: ShareKind
    corp_id: str
    agent_id: int
    corp_name: str = ""
    since: int = field(default=0, compare=False)
    """The fence of the listing that first had it after one that had not; 0 where nobody knows of such."""

    @property
    def identity(self) -> tuple[ShareKind, str, int]:
        """Return what makes two shares the same: the corp's name may change."""
        return (self.share_kind, self.corp_id, self.agent_id)

    def known_since(self, fence: int) -> "AppShare":
        """Return the share as one that is there since that listing."""
        # Most shares were always there, and copying 10,000 of them is felt.
        return self if fence == self.since else replace(self, since=fence)


class Target(NamedTuple):
    """Whose identity a caller means: an app, and the corp in which it acts."""

    app: str
    corp_id: str = ""
    share_kind: ShareKind | None = None
    agent_id: int = 0

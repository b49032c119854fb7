"""Corps and the apps in them: 企业 and 企业应用."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

ADDRESS = "示例路 1 号"
Name = str | bytes
"""Bytes are written to answers unchanged: real names contain control characters, and worse."""


class AppId(NamedTuple):
    """Name an app: an agentid is unique only inside its corp."""

    corpid: str
    agentid: int


@dataclass(slots=True)
class App:
    """Hold one app of a corp; a shared app (共享应用) has no secret of its own in the child.

    Agentid 0 stands for a secret without an app, like that of 通讯录同步.
    """

    agentid: int
    name: str
    secret: str | None = field(default=None, repr=False)
    enabled: bool = True
    trusted_ips: frozenset[str] | None = None
    suite_id: str = ""
    """The suite that it was installed from, if any."""
    old_secret: str | None = field(default=None, repr=False)
    """A secret that was reset, while it still works."""

    def has_secret(self, secret: str) -> bool:
        """Return whether this secret opens the app."""
        return bool(secret) and secret in (self.secret, self.old_secret)

    def trusts(self, ip: str) -> bool:
        """Return whether calls from this address pass 企业可信IP; without a list, all do."""
        return self.trusted_ips is None or ip in self.trusted_ips


@dataclass(frozen=True, slots=True)
class Member:
    """Hold one member (成员) of a corp."""

    userid: str
    name: Name
    departments: tuple[int, ...] = (1,)
    position: Name = ""
    address: Name = ADDRESS


@dataclass(slots=True)
class Corp:
    """Hold one corp with its apps and members."""

    corpid: str
    name: Name
    dissolved: bool = False
    apps: dict[int, App] = field(default_factory=dict)
    members: dict[str, Member] = field(default_factory=dict)

    def app(self, agentid: int) -> App:
        """Return an app. Raises LookupError."""
        if agentid not in self.apps:
            raise LookupError(f"{self.corpid} has no app {agentid}")
        return self.apps[agentid]

    def app_with_secret(self, secret: str) -> App | None:
        """Find the app that has this secret."""
        return next((app for app in self.apps.values() if app.has_secret(secret)), None)

    def add_member(self, member: Member) -> None:
        """Add a member; WeCom compares userids without regard to case."""
        self.members[member.userid.lower()] = member


class Corps:
    """Hold every corp of the world."""

    def __init__(self) -> None:
        self._by_id: dict[str, Corp] = {}
        self._plain: dict[str, Corp] = {}
        self._aliases: dict[str, str] = {}

    def __iter__(self) -> Iterator[Corp]:
        return iter(self._by_id.values())

    def add(self, corp: Corp) -> Corp:
        """Add a corp, replacing one with the same id."""
        self._by_id[corp.corpid] = corp
        # The plain form (ww…) is compared without regard to case, the encrypted one (wp…) is not.
        if corp.corpid.lower().startswith("ww"):
            self._plain[corp.corpid.lower()] = corp
        return corp

    def add_alias(self, corpid: str, corp: Corp) -> None:
        """Let a corp be found by the id under which a provider knows it, too."""
        if corpid != corp.corpid:
            self._aliases[corpid] = corp.corpid

    def drop_alias(self, corpid: str) -> None:
        """Forget such an id."""
        self._aliases.pop(corpid, None)

    @property
    def main_app(self) -> AppId:
        """Return the first app with a secret of its own, the default where none is named.

        Raises LookupError.
        """
        for corp in self._by_id.values():
            for app in corp.apps.values():
                if app.secret and not app.suite_id:
                    return AppId(corp.corpid, app.agentid)
        raise LookupError("no app of this world has a secret")

    def find(self, corpid: str) -> Corp | None:
        """Find a corp as WeCom would."""
        return (
            self._by_id.get(corpid)
            or self._plain.get(corpid.lower())
            or self._by_id.get(self._aliases.get(corpid, ""))
        )

    def get(self, corpid: str) -> Corp:
        """Return a corp, found as WeCom would. Raises LookupError."""
        if (corp := self.find(corpid)) is None:
            raise LookupError(f"there is no corp {corpid}")
        return corp

    def app_id(self, corpid: str, agentid: int) -> AppId:
        """Name an app by any id of its corp; the corp may be unknown."""
        corp = self.find(corpid)
        return AppId(corp.corpid if corp else corpid, agentid)

    def with_secret(self, secret: str) -> Corp | None:
        """Find the corp that has an app with this secret."""
        return next((corp for corp in self._by_id.values() if corp.app_with_secret(secret)), None)

"""A suite: a third-party app (第三方应用) or a 代开发 template, as its provider registered it."""

from dataclasses import dataclass, field
from enum import StrEnum

from broker.simulator.world.corps import AppId


class SuiteKind(StrEnum):
    """Name the two kinds of suites."""

    THIRD_PARTY = "third_party"
    CUSTOMIZED = "customized"
    """A 代开发 template: each corp gets an app of its own, whose secret is the permanent code."""


@dataclass(slots=True)
class Suite:
    """Hold one suite."""

    suite_id: str
    secret: str = field(repr=False)
    provider_id: str
    kind: SuiteKind = SuiteKind.THIRD_PARTY
    name: str = ""
    published: bool = True
    paid: bool = False
    """Whether corps buy an edition (应用版本) of it."""
    mini_program: bool = False
    """Whether a mini-program is bound to it."""
    has_agent: bool = True
    """Whether an authorisation brings an app; a contact suite brings none (wecom-api B6)."""
    redirect_host: str = ""
    """The host where installs by link end (安装完成回调域名); empty: any."""

    @property
    def customized(self) -> bool:
        """Return whether it is a 代开发 template."""
        return self.kind is SuiteKind.CUSTOMIZED

    @property
    def holder(self) -> AppId:
        """Return what owns its suite tokens, and the codes of its links."""
        return AppId(self.suite_id, 0)

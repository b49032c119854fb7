"""Suites and their providers, as they are configured."""

from dataclasses import dataclass

from broker.domain.apps import AppKind
from broker.domain.corps import ShareKind
from broker.domain.secret import Secret


@dataclass(frozen=True, slots=True)
class Provider:
    """A company that builds apps for other corps (服务商)."""

    name: str
    corp_id: str
    secret: Secret

    @property
    def identity(self) -> str:
        """See `App.identity`."""
        return self.corp_id


@dataclass(frozen=True, slots=True)
class Suite:
    """An app that corps authorise: a third-party suite (第三方应用), or the template of 代开发 apps."""

    name: str
    kind: AppKind
    suite_id: str
    secret: Secret
    provider: Provider
    share_kinds: tuple[ShareKind, ...] = (ShareKind.CORP_GROUP,)

    @property
    def identity(self) -> str:
        """See `App.identity`. Only one provider has it: permanent codes outlast a corrected corp_id."""
        return self.suite_id

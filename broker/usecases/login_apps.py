"""By which app a user logs in: whose token takes the code, and which corp is known before the answer."""

from dataclasses import dataclass

from broker.domain.apps import App, AppKind
from broker.domain.credentials import CredentialKey
from broker.domain.errors import InvalidRequest
from broker.domain.suites.catalog import Catalog
from broker.domain.suites.suite import Provider, Suite
from broker.usecases.shares.parents import KnownAuthorizations


@dataclass(frozen=True, slots=True)
class LoginApp:
    """An app, or a third-party suite, to which users log in."""

    name: str
    token: CredentialKey
    """Its token takes the codes."""
    app: App | None
    """The app in its corp. None for a third-party suite: only WeCom's answer names the corp."""
    suite: Suite | None
    """None for a self-built app."""

    @property
    def corp_id(self) -> str:
        """Return the corp whose app it is; "" if only the answer tells."""
        return self.app.corp_id if self.app else ""

    def link(self) -> tuple[str, int]:
        """Return the appid of login links, and the agent id: a suite's have none (wecom-api A6, B10).

        Raises `InvalidRequest` for an app without an agent.
        """
        if self.app is None:
            return (self.suite.suite_id if self.suite else ""), 0
        self.app.check_agent("corp_id" if self.suite else "app")
        return self.app.corp_id, self.app.agent_id


class LoginApps:
    """Find apps by the names, and the corps, that requests have."""

    def __init__(self, catalog: Catalog, authorizations: KnownAuthorizations) -> None:
        self._catalog = catalog
        self._authorizations = authorizations

    async def find(self, name: str, corp_id: str) -> LoginApp:
        """Return the app; a 代开发 app has one in each corp that authorised it.

        Raises `UnknownApp`, `InvalidRequest` with the field, `CorpNotAuthorized`, `ReauthorizationRequired`.
        """
        owner = self._catalog.owner(name)
        if isinstance(owner, Provider):
            raise InvalidRequest("app", "is a provider: users log in to its suites", app=name)
        if isinstance(owner, App):
            if corp_id not in ("", owner.corp_id):
                raise InvalidRequest("corp_id", "is not the app's own corp", app=name)
            return LoginApp(name, CredentialKey.own_token(owner), owner, None)
        if owner.kind is AppKind.THIRD_PARTY:
            return LoginApp(name, CredentialKey.suite_token(owner), None, owner)
        find = self._authorizations
        found = await (find.usable(owner, corp_id) if corp_id else find.sole(owner))
        app = (await find.detailed(found)).app(owner)
        return LoginApp(name, CredentialKey.own_token(app), app, owner)

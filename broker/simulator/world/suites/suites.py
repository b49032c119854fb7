"""All providers, their suites, and who authorised them."""

from collections.abc import Callable, Iterator

from broker.simulator.world.corps import App, AppId, Corp, Corps
from broker.simulator.world.randomness import Randomness
from broker.simulator.world.settings import Settings
from broker.simulator.world.shares import Owner
from broker.simulator.world.suites.authorization import AuthMode, Authorization, Edition, SharedFrom
from broker.simulator.world.suites.codes import InstallCodes
from broker.simulator.world.suites.provider import Provider
from broker.simulator.world.suites.suite import Suite
from broker.simulator.world.suites.tickets import SuiteTickets

_FIRST_AGENTID = 1000001


class Suites:
    """Find suites by id or name, providers by corp_id or name, corps by plain or encrypted id."""

    def __init__(
        self, corps: Corps, settings: Settings, randomness: Randomness, now: Callable[[], float]
    ) -> None:
        self.codes = InstallCodes(settings, randomness)
        self.tickets = SuiteTickets(settings, randomness)
        self._corps = corps
        self._settings = settings
        self._randomness = randomness
        self._now = now
        self._providers: dict[str, Provider] = {}
        self._suites: dict[str, Suite] = {}
        self._authorizations: dict[tuple[str, str], Authorization] = {}

    def __iter__(self) -> Iterator[Suite]:
        return iter(self._suites.values())

    @property
    def providers(self) -> list[Provider]:
        """List the providers."""
        return list(self._providers.values())

    def add_provider(self, provider: Provider) -> Provider:
        """Add a provider, replacing one with the same corp_id."""
        self._providers[provider.corp_id] = provider
        return provider

    def add(self, suite: Suite) -> Suite:
        """Add a suite, replacing one with the same id. Raises LookupError without its provider."""
        self.provider(suite.provider_id)
        self._suites[suite.suite_id] = suite
        return suite

    def find(self, suite_id: str) -> Suite | None:
        """Find a suite by its id, as WeCom would."""
        return self._suites.get(suite_id)

    def get(self, name: str) -> Suite:
        """Return a suite by its id or name. Raises LookupError."""
        for suite in self._suites.values():
            if name in (suite.suite_id, suite.name):
                return suite
        raise LookupError(f"there is no suite {name}")

    def find_provider(self, corp_id: str) -> Provider | None:
        """Find a provider by its corp_id, as WeCom would."""
        return self._providers.get(corp_id)

    def provider(self, name: str) -> Provider:
        """Return a provider by its corp_id or name. Raises LookupError."""
        for provider in self._providers.values():
            if name in (provider.corp_id, provider.name):
                return provider
        raise LookupError(f"there is no provider {name}")

    def provider_of(self, suite: Suite) -> Provider:
        """Return the provider of a suite."""
        return self._providers[suite.provider_id]

    def suite_of(self, app: AppId) -> Suite | None:
        """Return the suite that an app came from, if any."""
        corp = self._corps.find(app.corpid)
        found = corp.apps.get(app.agentid) if corp else None
        return self._suites.get(found.suite_id) if found else None

    def viewer(self, owner: Owner) -> Provider | None:
        """Return the provider whose ids the owner of a token sees; None: an app of the corp's own."""
        suite = self.suite_of(owner.parent or owner.app)
        return self.provider_of(suite) if suite else None

    def shown_corpid(self, owner: Owner, corpid: str) -> str:
        """Return a corp's id as the owner of a token sees it."""
        viewer = self.viewer(owner)
        return viewer.corpid(corpid) if viewer else corpid

    def corpid(self, suite: str, corp: str) -> str:
        """Return a corp's id as the suite's provider sees it. Raises LookupError."""
        return self.provider_of(self.get(suite)).corpid(self._corps.get(corp).corpid)

    def authorization(self, suite: str, corp: str) -> Authorization:
        """Return the latest authorisation of a suite by a corp, perhaps a cancelled one.

        Raises LookupError.
        """
        if found := self.find_authorization(self.get(suite).suite_id, self._corps.get(corp).corpid):
            return found
        raise LookupError(f"{corp} never authorised {suite}")

    def active(self, suite: str, corp: str) -> Authorization:
        """Return the authorisation in force. Raises LookupError."""
        if (found := self.authorization(suite, corp)).active:
            return found
        raise LookupError(f"{corp} cancelled {suite}")

    def find_authorization(self, suite_id: str, corpid: str) -> Authorization | None:
        """Find the latest authorisation of a suite by a corp (plain id), perhaps a cancelled one."""
        return self._authorizations.get((suite_id, corpid))

    def authorizations(self, suite_id: str) -> list[Authorization]:
        """List the latest authorisation of each corp, oldest first."""
        return [known for (of_suite, _), known in self._authorizations.items() if of_suite == suite_id]

    def authorize(
        self,
        suite: Suite,
        corp: Corp,
        *,
        auth_mode: AuthMode = AuthMode.ADMIN,
        installer: str = "",
        shared_from: SharedFrom | None = None,
    ) -> Authorization:
        """Install a suite in a corp; a repeat while it is installed changes nothing."""
        known = self.find_authorization(suite.suite_id, corp.corpid)
        if known and known.active:
            return known
        now = self._now()
        keeps_code = known is not None and self._settings.reinstall_keeps_permanent_code
        authorization = Authorization(
            suite_id=suite.suite_id,
            corpid=corp.corpid,
            agentid=next_agentid(corp),
            permanent_code=known.permanent_code if known and keeps_code else self._randomness.code(),
            created_at=now,
            auth_mode=auth_mode,
            installer=installer,
            shared_from=shared_from,
            edition=Edition.bought(now) if suite.paid else None,
        )
        self.introduce(suite, corp)
        corp.apps[authorization.agentid] = App(
            authorization.agentid,
            suite.name,
            secret=authorization.permanent_code if suite.customized else None,
            suite_id=suite.suite_id,
        )
        self._authorizations[suite.suite_id, corp.corpid] = authorization
        return authorization

    def introduce(self, suite: Suite, corp: Corp) -> None:
        """Let the suite's provider know a corp, by an id of its own."""
        self._corps.add_alias(self.provider_of(suite).corpid(corp.corpid), corp)

    def renew_code(self, authorization: Authorization) -> None:
        """Give it a new permanent code; the one that the provider has fetched works until it is forgotten."""
        if authorization.exchanged:
            authorization.old_code = authorization.permanent_code
        authorization.permanent_code = self._randomness.code()
        authorization.exchanged = False
        self._set_secret(authorization)

    def forget_old_code(self, authorization: Authorization) -> None:
        """End the permanent code from before a reset."""
        authorization.old_code = ""
        self._set_secret(authorization)

    def exchange(self, authorization: Authorization) -> str:
        """Hand the permanent code to the provider."""
        authorization.exchanged = True
        self.forget_old_code(authorization)
        return authorization.permanent_code

    def cancel(self, authorization: Authorization) -> None:
        """End an authorisation, and remove its app from the corp."""
        authorization.active = False
        self._corps.get(authorization.corpid).apps.pop(authorization.agentid, None)

    def _set_secret(self, authorization: Authorization) -> None:
        app = self._corps.get(authorization.corpid).app(authorization.agentid)
        if self._suites[authorization.suite_id].customized:
            app.secret, app.old_secret = authorization.permanent_code, authorization.old_code or None

    def rename(self, provider: Provider, corp: Corp) -> str:
        """Give a corp that cancelled everything another id at the provider. Raises ValueError otherwise."""
        suites = [suite for suite in self._suites.values() if suite.provider_id == provider.corp_id]
        for suite in suites:
            known = self.find_authorization(suite.suite_id, corp.corpid)
            if known and known.active:
                raise ValueError(f"{corp.corpid} still has {suite.name or suite.suite_id}")
        self._corps.drop_alias(provider.corpid(corp.corpid))
        provider.generations[corp.corpid] = provider.generations.get(corp.corpid, 0) + 1
        return provider.corpid(corp.corpid)


def next_agentid(corp: Corp) -> int:
    """Return an agentid that no app of the corp has."""
    return max([_FIRST_AGENTID - 1, *corp.apps]) + 1

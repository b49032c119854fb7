"""Which callback a URL is: an app's, a suite's or a provider's, or that of a 代开发 app at one client."""

from collections.abc import Mapping

from broker.domain.apps import App, AppKind
from broker.domain.errors import InvalidRequest
from broker.domain.ports.clock import Clock
from broker.domain.ports.observer import Observer
from broker.domain.suites.catalog import Catalog
from broker.domain.suites.suite import Provider, Suite
from broker.protocol.callbacks.message import CORP_ID
from broker.usecases.callbacks.attribution import Attribution
from broker.usecases.callbacks.callback import Callback
from broker.usecases.callbacks.client import ClientCallback
from broker.usecases.callbacks.provider import ProviderCallback
from broker.usecases.callbacks.self_built import SelfBuiltCallback
from broker.usecases.callbacks.settings import CallbackSettings, ClientCallbacks
from broker.usecases.callbacks.suite import SuiteCallback
from broker.usecases.callbacks.suite_corps import SuiteCorps
from broker.usecases.shares.directory import ShareDirectory
from broker.usecases.shares.relisting import Relisting

NO_CALLBACK = "has no callback in the configuration"


class CallbackUrls:
    """The callbacks that are configured."""

    def __init__(
        self,
        catalog: Catalog,
        settings: Mapping[str, CallbackSettings],
        clients: Mapping[str, ClientCallbacks],
        *,
        shares: ShareDirectory,
        relisting: Relisting,
        corps: Mapping[str, SuiteCorps],
        clock: Clock,
        observer: Observer,
    ) -> None:
        self._catalog = catalog
        self._settings = settings
        self._clients = clients
        self._shares = shares
        self._relisting = relisting
        self._attribution = Attribution(shares, clock, observer)
        self._corps = corps
        self._clock = clock

    def find(self, name: str, corp_id: str = "") -> Callback:
        """Return the callback of that URL. Raises `UnknownApp`, and `InvalidRequest` if it has none."""
        owner = self._catalog.owner(name)
        if corp_id:
            return self._below(owner, corp_id)
        settings = self._settings.get(name)
        if settings is None:
            raise InvalidRequest("app", NO_CALLBACK)
        match owner:
            case App():
                return SelfBuiltCallback(owner, settings, self._attribution, self._shares, self._relisting)
            case Suite():
                return SuiteCallback(owner, settings, self._corps[name])
            case Provider():
                suites = [suite for suite in self._catalog.suites.values() if suite.provider == owner]
                return ProviderCallback(
                    owner, settings, [(suite, self._corps[suite.name]) for suite in suites], self._clock
                )

    def replying(self, name: str, corp_id: str) -> Callback:
        """Return the callback whose keys seal a reply to that corp: a 代开发 client's own, if it has one."""
        clients = self._clients.get(name)
        return self.find(name, corp_id if clients and corp_id and clients.of(corp_id) else "")

    def _below(self, owner: App | Suite | Provider, corp_id: str) -> Callback:
        if not isinstance(owner, Suite) or not CORP_ID.fullmatch(corp_id):
            raise InvalidRequest("app", NO_CALLBACK)
        if owner.kind is AppKind.THIRD_PARTY:
            # The data URL with $CORPID$ in it: its keys are the suite's, and its messages name their corp.
            return self.find(owner.name)
        settings = self._clients[owner.name].of(corp_id)
        if settings is None:
            raise InvalidRequest("app", NO_CALLBACK)
        corps = self._corps[owner.name]
        others = frozenset(
            [suite.suite_id for suite in self._catalog.suites.values()]
            + [provider.corp_id for provider in self._catalog.providers.values()]
        )
        return ClientCallback(owner, corp_id, settings, corps, self._attribution, others)

"""The parts that open and seal callbacks, for WeCom's requests and for callers alike."""

from broker.adapters.wecom.addresses import AddressEndpoints
from broker.adapters.wecom.client import WecomClient
from broker.app.core import Core
from broker.app.reloading.settings import LiveSettings
from broker.app.surroundings import Surroundings
from broker.config import mapping
from broker.config.schema import Config
from broker.domain.live import Live
from broker.domain.suites.catalog import CatalogChange
from broker.usecases.callbacks.decoder import CallbackDecoder
from broker.usecases.callbacks.external import ExternalCallbacks
from broker.usecases.callbacks.inbox import CallbackInbox
from broker.usecases.callbacks.sender_allowlist import SenderAllowlist
from broker.usecases.callbacks.suite_corps import SuiteCorps
from broker.usecases.callbacks.urls import CallbackUrls


class Callbacks:
    """Callback URLs, what comes in by them, and what callers open and seal themselves."""

    def __init__(
        self, config: Config, settings: LiveSettings, around: Surroundings, core: Core, client: WecomClient
    ) -> None:
        clock, observer, catalog = around.clock, around.observer, around.catalog
        corps = Live[SuiteCorps]({})

        def take(_: CatalogChange | None = None) -> None:
            suites = catalog.suites.values()
            corps.replace({found.name: SuiteCorps(found, core.suites.called_back, clock) for found in suites})

        take()
        catalog.on_change(take)
        decoder = CallbackDecoder(clock, observer)
        urls = CallbackUrls(
            around.catalog,
            settings.callbacks,
            settings.client_callbacks,
            shares=core.sharing.directory,
            relisting=core.sharing.relisting,
            corps=corps,
            clock=clock,
            observer=observer,
        )
        self.inbox = CallbackInbox(
            urls=urls,
            decoder=decoder,
            allowlist=SenderAllowlist(core.engine, AddressEndpoints(client), clock, observer, around.tasks),
            log=around.storage.events,
            keep=mapping.retention(config),
            clock=clock,
        )
        self.external = ExternalCallbacks(urls, decoder, clock, around.randomness)

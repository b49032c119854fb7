"""The settings that a reload replaces while the broker runs."""

from broker.config import mapping
from broker.config.schema import Config
from broker.domain.caller_policy import CallerPolicy
from broker.domain.live import Live
from broker.domain.stores.redis_address import Logins
from broker.server.grpc.entry.subjects import Subjects


class LiveSettings:
    """Callers, apps and callbacks as they are configured now: everybody holds the same objects."""

    def __init__(self, config: Config) -> None:
        self.policy = CallerPolicy(mapping.callers(config))
        self.catalog = mapping.catalog(config)
        self.subjects = Subjects.of(self.catalog)
        self.callbacks = Live(mapping.callbacks(config))
        self.client_callbacks = Live(mapping.client_callbacks(config))
        self.watermarks = Live(mapping.watermarks(config))
        self.logins = Logins(config.store.login, config.store.sentinel_login)

    def replace(self, config: Config) -> None:
        """Take another configuration in one step: no request sees half of it.

        The rules are the last: whoever listens for them finds the rest as it is now.
        """
        self.callbacks.replace(mapping.callbacks(config))
        self.client_callbacks.replace(mapping.client_callbacks(config))
        self.watermarks.replace(mapping.watermarks(config))
        self.catalog.replace(mapping.catalog(config))
        self.logins.replace(config.store.login, config.store.sentinel_login)
        self.policy.replace(mapping.callers(config))

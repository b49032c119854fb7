"""The settings that a reload replaces while the broker runs."""

from collections.abc import Callable
from functools import partial

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
        self.store_place = config.store.place

    def prepare(self, config: Config) -> Callable[[], None]:
        """Return what takes another configuration in one step: no request sees half of it."""
        return partial(self._take, LiveSettings(config))

    def _take(self, new: "LiveSettings") -> None:
        """Take all of another one, the rules last: whoever listens for them finds the rest as it is now."""
        self.callbacks.replace(new.callbacks)
        self.client_callbacks.replace(new.client_callbacks)
        self.watermarks.replace(new.watermarks)
        self.catalog.replace(new.catalog)
        # Another store is taken at a restart: its password is nothing to show to this one.
        if new.store_place == self.store_place:
            self.logins.replace(new.logins.servers, new.logins.sentinels)
        self.policy.replace(new.policy.callers)

"""Replace the configuration of a running broker: all of it, or nothing."""

import asyncio
from collections.abc import Callable, Sequence

from broker.adapters.storage.seal import SealKey
from broker.app.at_rest.seal_keys import SealKeys
from broker.app.errors import CannotStart
from broker.config.load import ConfigError
from broker.config.reloading.restart import restart_needed
from broker.config.schema import Config
from broker.domain.errors import StoreUnavailable
from broker.domain.ports.clock import Clock
from broker.domain.replica.health import ConfigStatus, ReloadOutcome
from broker.server.http.server import CannotListen
from broker.telemetry.observer import Telemetry

Apply = Callable[[], object]
"""Takes a prepared configuration in one step, and cannot fail."""
Prepare = Callable[[Config], Apply]
"""Reads what it needs from a new configuration, and changes nothing yet."""


class ConfigReload:
    """Read the file anew, one reload at a time; whoever asks meanwhile shares the next one."""

    def __init__(
        self,
        running: Config,
        read: Callable[[], Config],
        read_certificates: Callable[[], None] | None = None,
        seal_keys: SealKeys | None = None,
        *,
        prepared_by: Sequence[Prepare],
        telemetry: Telemetry,
        clock: Clock,
    ) -> None:
        self._started_with = running
        self._read = read
        self._read_certificates = read_certificates
        """Raises `CannotListen` and changes nothing if they cannot be used."""
        self._seal_keys = seal_keys
        self._keys_in_use = running.store.seal_keys
        self._prepared_by = prepared_by
        """All prepare before the first applies; no request runs while they apply."""
        self._telemetry = telemetry
        self._clock = clock
        self._lock = asyncio.Lock()
        self._next: asyncio.Task[ReloadOutcome] | None = None

    async def reload(self) -> ReloadOutcome:
        """Return once the file, as it is now or later, is in force or refused."""
        if self._next is None:
            self._next = asyncio.create_task(self._in_turn())
        return await asyncio.shield(self._next)

    async def _in_turn(self) -> ReloadOutcome:
        async with self._lock:
            # The file is read from here on: whoever asks later needs another reload.
            self._next = None
            return await self._reload()

    async def _reload(self) -> ReloadOutcome:
        read_at = self._clock.now()
        try:
            new = await asyncio.to_thread(self._read)
            applies = [prepare(new) for prepare in self._prepared_by]
            keys = await self._new_keys(new)
            # The last that can fail, for it takes effect at once.
            if self._read_certificates:
                self._read_certificates()
        except ConfigError as error:
            return self._refused(error.problems)
        except (CannotListen, CannotStart) as error:
            return self._refused([str(error)])
        except StoreUnavailable as error:
            return self._refused([f"store.seal_keys: cannot be compared with the fleet's: {error}"])
        except Exception as error:  # noqa: BLE001 - no file may end a broker that serves
            self._telemetry.background_failed("reloading the configuration", error)
            return self._refused([f"unexpected error, see the log: {type(error).__name__}"])
        if keys and self._seal_keys:
            self._seal_keys.replace(keys)
            self._keys_in_use = new.store.seal_keys
        for apply in applies:
            apply()
        waiting = restart_needed(self._started_with, new)
        self._telemetry.config_applied(ConfigStatus(read_at, restart_needed=tuple(waiting)))
        return ReloadOutcome.APPLIED

    def _refused(self, problems: Sequence[str]) -> ReloadOutcome:
        self._telemetry.config_refused(problems)
        return ReloadOutcome.REFUSED

    async def _new_keys(self, new: Config) -> list[SealKey] | None:
        """Return the seal keys if they have changed and are the fleet's. Raises as `SealKeys.check`."""
        if self._seal_keys is None or new.store.seal_keys == self._keys_in_use:
            return None
        return await self._seal_keys.check(new)

"""Authorisations in a file of the operator's: from the configured store, and back, without a broker."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from broker.adapters.storage.backup import BackupRefused, backup_key, read_backup, write_backup
from broker.adapters.system import SystemClock
from broker.app.errors import CannotStart
from broker.app.store import open_store
from broker.config import mapping
from broker.config.schema import Config
from broker.domain.ports.observer import Damage
from broker.domain.suites.authorization import Authorization
from broker.telemetry.observer import Telemetry
from broker.usecases.suites.backup import AuthorizationBackup, Restored

__all__ = ["BackupRefused", "Exported", "Restored", "export_authorizations", "import_authorizations"]

EMBEDDED_AT_ONCE, AT_ONCE = 4, 100
"""How many authorisations are put back at a time: SQLite writes one by one, Redis syncs many at once."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export took out of the store."""

    file: bytes
    authorizations: list[Authorization]
    unreadable_count: int
    """Of records that no configured key opens, or that are damaged: they are not in the file."""


class _Reports(Telemetry):
    """Count the records that cannot be read; a command says so in one line."""

    def __init__(self, clock: SystemClock) -> None:
        super().__init__(clock)
        self.unreadable_count = 0

    def damage_found(self, damage: Damage, problem: Exception) -> None:  # noqa: ARG002 - see `Observer`
        """See `Observer.damage_found`."""
        self.unreadable_count += 1


async def export_authorizations(config: Config, key: str) -> Exported:
    """Return the file that the key seals. Raises `BackupRefused`, `CannotStart`, `StoreUnavailable`."""
    seal_key = backup_key(key)
    if config.store.is_embedded and not Path(config.store.path).exists():
        # Opening it would make an empty one.
        raise CannotStart(f"store.url: {config.store.path} does not exist")
    async with _opened(config) as (backup, reports):
        found = await backup.taken()
        return Exported(write_backup(found, seal_key), found, reports.unreadable_count)


async def import_authorizations(
    config: Config, key: str, file: bytes, *, force: bool
) -> AsyncGenerator[list[tuple[Authorization, Restored]], None]:
    """Put back what is in the file; yield what became of each, as soon as it is in the store.

    Raises as `export_authorizations`.
    """
    saved = read_backup(file, backup_key(key))
    async with _opened(config) as (backup, _):
        at_once = EMBEDDED_AT_ONCE if config.store.is_embedded else AT_ONCE
        async with aclosing(backup.restore_all(saved, force=force, at_once=at_once)) as restored:
            async for batch in restored:
                yield batch


@asynccontextmanager
async def _opened(config: Config) -> AsyncIterator[tuple[AuthorizationBackup, _Reports]]:
    clock = SystemClock()
    reports = _Reports(clock)
    suites = mapping.catalog(config).suites
    async with open_store(config, clock, reports) as storage:
        yield (
            AuthorizationBackup(suites, storage.authorizations, storage.groups, storage.coordination, clock),
            reports,
        )

"""The groups of all callers, as an operator sees them."""

from collections.abc import Collection

from broker.domain.errors import InvalidRequest
from broker.domain.events.log import Deletion, Lag
from broker.domain.ports.event_groups import EventGroups
from broker.domain.suites.catalog import Catalog


class GroupOverview:
    """List groups, and delete one that nobody needs any more."""

    def __init__(self, catalog: Catalog, apps: Collection[str], groups: EventGroups) -> None:
        self._catalog = catalog
        self._apps = apps
        """Those that have a callback."""
        self._groups = groups

    async def list(self, app: str = "") -> list[Lag]:
        """Return every group, of one app or of all, in a stable order.

        Raises `UnknownApp`, `InvalidRequest`, `StoreUnavailable`.
        """
        apps = [self._known(app)] if app else sorted(self._apps)
        return [lag for each in apps for lag in await self._groups.lags(each)]

    async def delete(self, app: str, group: str) -> bool:
        """Delete a group with its progress; return whether there was one.

        Raises `InvalidRequest` while it has members, `UnknownApp`, and `StoreUnavailable`.
        """
        deletion = await self._groups.delete_group(self._known(app), group)
        if deletion is Deletion.IN_USE:
            raise InvalidRequest("group", "has members: stop them first", app=app)
        return deletion is Deletion.DELETED

    def _known(self, app: str) -> str:
        self._catalog.owner(app)
        if app not in self._apps:
            raise InvalidRequest("app", "has no callback in the configuration", app=app)
        return app

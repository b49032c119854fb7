"""The credentials of a suite in a corp, as authorisations begin and end."""

from collections.abc import Iterable
from contextlib import suppress

from broker.domain.credentials import CORP_KINDS, Credential, CredentialKey, CredentialKind
from broker.domain.errors import StoreUnavailable
from broker.domain.people.sessions import Session
from broker.domain.ports.collection import Collection
from broker.domain.ports.store import Groups
from broker.domain.suites.authorization import Authorization
from broker.usecases.credentials.cache import CredentialCache
from broker.usecases.limits.error_cache import ErrorCache

BATCH = 500


class SuiteCredentials:
    """Drop what a corp that cancelled leaves behind; forget what was refused before it authorised again."""

    def __init__(
        self,
        *,
        credentials: Collection[CredentialKey, Credential],
        sessions: Collection[str, Session],
        groups: Groups,
        memory: CredentialCache,
        error_cache: ErrorCache,
    ) -> None:
        self._credentials = credentials
        self._sessions = sessions
        self._groups = groups
        self._memory = memory
        self._error_cache = error_cache

    def evict(self, cancelled: Authorization) -> None:
        """Drop the corp's credentials, and its children's, in this replica, without awaiting."""
        for key in self._held(cancelled):
            self._memory.drop(key)

    async def remove(self, cancelled: Authorization) -> None:
        """Leave tombstones of the credentials in the store, and forget the sessions.

        Raises `StoreUnavailable`.
        """
        keys = list(dict.fromkeys([*_keys(cancelled), *self._held(cancelled)]))
        self.evict(cancelled)
        for key, stored in (await self._credentials.load(keys)).items():
            if stored.value:
                await self._credentials.forget(key, stored.fence)
        await self._forget_sessions(Session.group_of(cancelled.suite, cancelled.corp_id))

    async def reinstate(self, authorization: Authorization) -> None:
        """Forget that WeCom refused the corp's credentials, because the corp authorised again."""
        for key in _keys(authorization):
            with suppress(StoreUnavailable):
                await self._error_cache.lift(key.name)

    async def _forget_sessions(self, group: str) -> None:
        while session_ids := await self._groups.members(group, 0, BATCH):
            for session_id in session_ids:
                await self._sessions.forget(session_id, 1)
                await self._groups.strike(group, session_id)

    def _held(self, cancelled: Authorization) -> Iterable[CredentialKey]:
        corp_id = cancelled.corp_id
        return [
            entry.key
            for entry in self._memory
            if entry.key.app == cancelled.suite and corp_id in (entry.key.corp_id, entry.key.parent_corp_id)
        ]


def _keys(authorization: Authorization) -> list[CredentialKey]:
    agent_ids = {0, *(agent.agent_id for agent in authorization.agents)}
    return [
        CredentialKey(authorization.suite, authorization.corp_id, agent_id, kind=kind)
        for agent_id in sorted(agent_ids)
        for kind in CORP_KINDS
        if agent_id or kind is not CredentialKind.AGENT_TICKET
    ]

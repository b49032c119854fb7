"""The credentials that this replica holds, and who watches them."""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice

from broker.domain.corps import ShareKind
from broker.domain.credentials import Credential, CredentialKey, RefreshPolicy
from broker.domain.errors import AppNotShared, BrokerError, CorpNotAuthorized
from broker.usecases.fleet.latest import Latest

NEVER = datetime.min.replace(tzinfo=UTC)


SWEPT_AT_ONCE = 500
"""How many entries are looked at in one sweep, or a hundredth of all if that is more: none takes long."""


@dataclass(slots=True, eq=False)
class CacheEntry:
    """One credential in memory."""

    key: CredentialKey
    credential: Credential | None = None
    fresh_until: float = 0.0
    """Until then, in seconds since 1970, it is served without further checks; set when it is put."""
    used_at: float = 0.0
    """When a caller last asked for it: a credential that nobody uses is not renewed ahead of time."""
    rests_until: datetime | None = None
    """After a failed renewal: until then callers don't wait for another attempt (engine rule 4)."""
    last_error: BrokerError | None = None
    last_error_at: datetime | None = None
    scheduled: Credential | None = None
    """The credential whose renewal ahead of time is scheduled."""
    due: float = 0.0
    """When that is, in seconds since 1970."""
    _watchers: set[Latest[Credential]] | None = field(default=None, init=False, repr=False)
    """None where nobody has watched yet: most are not watched, and an empty set is 200 bytes."""

    @property
    def ends_at(self) -> datetime:
        """Return when it is of no use any more: with its credential, or with the pause after a failure."""
        return self.credential.expires_at if self.credential else self.rests_until or NEVER

    def is_at_its_end(self, now: datetime) -> bool:
        """Return whether its credential ends before WeCom could answer."""
        return self.credential is not None and self.credential.ends_before_an_answer(now)

    @property
    def watchers(self) -> Collection[Latest[Credential]]:
        """Return who watches it."""
        return self._watchers or ()

    def add_watcher(self, latest: Latest[Credential]) -> None:
        """Push new values there, too."""
        if self._watchers is None:
            self._watchers = set()
        self._watchers.add(latest)

    def remove_watcher(self, latest: Latest[Credential]) -> None:
        """Push no more values there."""
        if self._watchers:
            self._watchers.discard(latest)


class CredentialCache:
    """Keep the newest of each credential, and push it to its watchers."""

    def __init__(self, policy: RefreshPolicy) -> None:
        self._policy = policy
        self._entries: dict[str, CacheEntry] = {}
        """By the name of the key."""
        self._listeners: list[Callable[[Credential], None]] = []
        self._to_sweep: Iterator[CacheEntry] | None = None
        """The entries that this round of sweeps has not looked at yet."""
        self.credential_count = 0
        self.watcher_count = 0
        self.renewals_a_minute = 0.0
        """How many renewals a minute keep what is held."""

    def __iter__(self) -> Iterator[CacheEntry]:
        return iter(list(self._entries.values()))

    def __len__(self) -> int:
        return len(self._entries)

    def on_put(self, listener: Callable[[Credential], None]) -> None:
        """Call the listener with every credential that is put, and with one that somebody begins to watch."""
        self._listeners.append(listener)

    def find(self, key: CredentialKey) -> CacheEntry | None:
        """Return the entry, if there is one."""
        return self._entries.get(key.name)

    def named(self, name: str) -> CacheEntry | None:
        """Return the entry of the key with that name, if there is one."""
        return self._entries.get(name)

    def get(self, key: CredentialKey) -> Credential | None:
        """See `Copies.get`."""
        entry = self._entries.get(key.name)
        return entry.credential if entry else None

    def held(self) -> Iterable[CredentialKey]:
        """See `Copies.held`."""
        return [entry.key for entry in self._entries.values()]

    def key_named(self, name: str) -> CredentialKey | None:
        """See `Copies.key_named`; a key that is only waited for counts."""
        entry = self._entries.get(name)
        return entry.key if entry else None

    def key_held(self, key: CredentialKey) -> CredentialKey:
        """Return the key that is held if it equals this one, else this one."""
        entry = self._entries.get(key.name)
        return entry.key if entry else key

    def hold(self, key: CredentialKey) -> CacheEntry:
        """Return the entry, an empty one if there was none."""
        entry = self._entries.get(key.name)
        if entry is None:
            entry = self._entries[key.name] = CacheEntry(key)
        return entry

    def put(self, credential: Credential) -> bool:
        """Keep it unless something newer is held; push a new value to the watchers.

        A generation never goes back, whatever the store says (engine rule 3).
        """
        entry = self.hold(credential.key)
        held = entry.credential
        if held and (credential.fence <= held.fence or credential.generation < held.generation):
            return False
        self._count(held, -1)
        self._count(credential, 1)
        entry.credential = credential
        entry.fresh_until = credential.fresh_until(self._policy).timestamp()
        entry.rests_until = entry.last_error = entry.last_error_at = None
        if held is None or held.generation != credential.generation:
            for latest in entry.watchers:
                latest.put(credential)
        self._notify(credential)
        return True

    async def adopt(self, value: Credential) -> None:
        """See `Copies.adopt`."""
        self.put(value)

    def drop(self, key: CredentialKey) -> None:
        """See `Copies.drop`: the corp no longer has the app, and the watchers get that error."""
        if entry := self._entries.get(key.name):
            self._remove(entry)
            for latest in entry.watchers:
                latest.fail(_gone(key))

    def end(self, app: str, error: BrokerError | None) -> None:
        """Forget whatever an app has; its watches end with the error, or are to be opened again."""
        for entry in [entry for entry in self if entry.key.app == app]:
            self._remove(entry)
            for latest in entry.watchers:
                latest.end(error)

    def try_again(self, app: str) -> None:
        """Have the app's credentials fetched as soon as somebody needs them, whatever failed before."""
        for entry in self:
            if entry.key.app == app:
                entry.rests_until = None

    def close_watches(self) -> None:
        """End every watch, so that a stopping broker need not wait for its watchers."""
        for entry in self:
            for latest in entry.watchers:
                latest.close()

    def sweep(self, gone_before: datetime, failed_before: datetime) -> None:
        """Forget what ended before the one moment and failed last before the other; not what is watched.

        Each sweep looks at some, the next one at those after them.
        """
        for entry in self._next_to_sweep():
            failed_at = entry.last_error_at or NEVER
            is_over = entry.ends_at < gone_before and failed_at < failed_before
            if is_over and not entry.watchers and self._entries.get(entry.key.name) is entry:
                self._remove(entry)

    def _next_to_sweep(self) -> list[CacheEntry]:
        if self._to_sweep is None:
            self._to_sweep = iter(self)
        most = max(SWEPT_AT_ONCE, len(self) // 100)
        found = list(islice(self._to_sweep, most))
        if len(found) < most:
            self._to_sweep = None
        return found

    def watching(self, key: CredentialKey) -> "Watching":
        """Return a context with a stream of what is put from now on."""
        return Watching(self, key)

    def add_watcher(self, key: CredentialKey, latest: Latest[Credential]) -> CacheEntry:
        """Push what is put from now on there, too; return the entry that is watched."""
        entry = self.hold(key)
        entry.add_watcher(latest)
        self.watcher_count += 1
        if entry.credential:
            self._notify(entry.credential)
        return entry

    def remove_watcher(self, entry: CacheEntry, latest: Latest[Credential]) -> None:
        """Push nothing more there, and forget an entry of which nothing is known."""
        entry.remove_watcher(latest)
        self.watcher_count -= 1
        unknown = entry.credential is None and entry.last_error is None
        if unknown and not entry.watchers and self._entries.get(entry.key.name) is entry:
            self._remove(entry)

    def _remove(self, entry: CacheEntry) -> None:
        del self._entries[entry.key.name]
        self._count(entry.credential, -1)
        # Who kept the entry must not serve what is in it.
        entry.credential = None

    def _count(self, credential: Credential | None, step: int) -> None:
        """Count a credential that comes, or one that goes."""
        if credential:
            self.credential_count += step
            self.renewals_a_minute += step * credential.renewals_a_minute(self._policy)

    def _notify(self, credential: Credential) -> None:
        for listener in self._listeners:
            listener(credential)


class Watching:
    """A context in which a credential is watched: a class, for there are tens of thousands."""

    __slots__ = ("_cache", "_key", "_latest", "_watched")

    def __init__(self, cache: CredentialCache, key: CredentialKey) -> None:
        self._cache = cache
        self._key = key

    def __enter__(self) -> Latest[Credential]:
        self._latest: Latest[Credential] = Latest()
        self._watched = self._cache.add_watcher(self._key, self._latest)
        return self._latest

    def __exit__(self, *_: object) -> None:
        self._cache.remove_watcher(self._watched, self._latest)


def _gone(key: CredentialKey) -> BrokerError:
    """Return why a credential is no longer: a share has ended, or a corp has cancelled a suite."""
    if key.share_kind is ShareKind.OWN:
        return CorpNotAuthorized("this corp cancelled the app", app=key.app, corp_id=key.corp_id)
    return AppNotShared("the app is no longer shared with this corp", app=key.app, corp_id=key.corp_id)

"""What doctors tried: in the fleet's store, or in a file beside the embedded one."""

import asyncio
import fcntl
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from broker.adapters.storage.codec import Codec
from broker.adapters.storage.collection import SealedCollection
from broker.adapters.storage.payload import Moment, RecordDamaged, RecordPayload
from broker.adapters.storage.seal import Seal
from broker.domain.errors import KINDS, StoreUnavailable
from broker.domain.ports.observer import Observer
from broker.domain.ports.store import Lease, Record, Store
from broker.domain.trial import Trial

KEPT = timedelta(days=400)
LONGEST_TURN = timedelta(seconds=90)
SOON = timedelta(seconds=1)


class _TrialPayload(RecordPayload):
    at: Moment
    answered: bool
    reason: str
    message: str
    metadata: dict[str, str]


def _encode(trial: Trial) -> Record:
    payload = _payload(trial, fence=trial.fence).to_bytes()
    return Record(trial.name_of(trial.mark), trial.fence, payload, trial.at + KEPT)


def _payload(trial: Trial, fence: int | None = None) -> _TrialPayload:
    return _TrialPayload(
        fence=fence,
        at=trial.at,
        answered=trial.answered,
        reason=trial.kind.reason if trial.kind else "",
        message=trial.message,
        metadata=dict(trial.metadata),
    )


def _decode(mark: str, record: Record) -> Trial:
    return _trial(mark, _TrialPayload.of_record(record))


def _trial(mark: str, read: _TrialPayload) -> Trial:
    if read.reason and read.reason not in KINDS:
        raise RecordDamaged(Trial.name_of(mark), "reason: unknown")
    kind = KINDS[read.reason] if read.reason else None
    return Trial(mark, read.at, read.answered, kind, read.message, read.metadata)


TRIALS = Codec(Trial.name_of, _encode, _decode)


class StoredTrials:
    """Trials in the store of a fleet: doctors on any machine see them."""

    def __init__(self, store: Store, seal: Seal, observer: Observer) -> None:
        self._leases = store
        self._trials = SealedCollection(store, seal, TRIALS, observer)

    @asynccontextmanager
    async def turn(self, mark: str) -> AsyncIterator[bool]:
        """See `Trials.turn`."""
        lease = await self._leases.acquire(Trial.name_of(mark), LONGEST_TURN)
        if not isinstance(lease, Lease):
            yield False
            return
        try:
            yield True
        finally:
            await self._leases.release(lease)

    async def find(self, mark: str) -> Trial | None:
        """See `Trials.find`."""
        return await self._trials.find(mark)

    async def put(self, trial: Trial) -> None:
        """See `Trials.put`."""
        await self._trials.offer(trial)


class FileTrials:
    """Trials in a file of this machine, beside the database of the one broker; it shows no secret."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turns = asyncio.Lock()

    @asynccontextmanager
    async def turn(self, mark: str) -> AsyncIterator[bool]:  # noqa: ARG002 - one turn for all secrets
        """See `Trials.turn`: one doctor at a time, and one secret after the other."""
        async with self._turns:
            try:
                descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            except OSError as error:
                raise _unusable(self._path, error) from None
            with os.fdopen(descriptor) as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    yield False
                    return
                yield True

    async def find(self, mark: str) -> Trial | None:
        """See `Trials.find`."""
        known = self._read().get(mark)
        if known is None:
            return None
        try:
            return _trial(mark, _TrialPayload.of(Trial.name_of(mark), json.dumps(known).encode()))
        except RecordDamaged as error:
            raise StoreUnavailable(f"{self._path}: {error}", SOON) from None

    async def put(self, trial: Trial) -> None:
        """See `Trials.put`."""
        known = {**self._read(), trial.mark: _payload(trial).model_dump()}
        try:
            # Written in place, since the lock is on this very file.
            with self._path.open("r+", encoding="utf-8") as file:
                file.write(json.dumps(known))
                file.truncate()
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise _unusable(self._path, error) from None

    def _read(self) -> dict[str, object]:
        try:
            text = self._path.read_text(encoding="utf-8")
            return dict(json.loads(text)) if text else {}
        except OSError as error:
            raise _unusable(self._path, error) from None
        except ValueError:
            raise StoreUnavailable(f"{self._path} is damaged: remove it", SOON) from None


def _unusable(path: Path, error: OSError) -> StoreUnavailable:
    return StoreUnavailable(f"{path} cannot be used: {error.strerror}", SOON)

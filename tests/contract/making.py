"""Records and leases to test with."""

from datetime import UTC, datetime, timedelta

from broker.domain.ports.store import Lease, Record, Store

NAME = "access_token:crm:own:ww1:1000002"
LONG = timedelta(seconds=30)
SHORT = timedelta(milliseconds=60)
FAR = datetime(2099, 1, 1, tzinfo=UTC)


def record(fence: int, payload: bytes = b"payload", name: str = NAME) -> Record:
    """Return a record that is kept for long."""
    return Record(name, fence, payload, FAR)


async def taken(store: Store, name: str = NAME, duration: timedelta = LONG, floor: int = 0) -> Lease:
    """Return the lease, which must be free."""
    lease = await store.acquire(name, duration, floor)
    assert isinstance(lease, Lease), lease
    return lease


async def held(store: Store, name: str = NAME) -> tuple[int, bytes] | None:
    """Return fence and payload of what the store holds."""
    found = (await store.load([name])).get(name)
    return (found.fence, found.payload) if found else None

"""One event of this world, before it is sent."""

from dataclasses import dataclass, field

from broker.simulator.world.corps import AppId
from broker.simulator.world.events.kinds import OF_PARENT, ChangeType, EventKind
from broker.simulator.world.settings import ShareCdata


@dataclass(frozen=True, slots=True)
class Event:
    """Hold an event of a parent's app, in a child corp or in the parent itself."""

    kind: EventKind
    app: AppId
    place: AppId
    at: int
    userid: str = ""
    """As the app sees it."""
    suite_id: str = ""
    code: str = field(default="", repr=False)
    """A suite_ticket, or an auth_code."""
    state: str = ""
    detail: str = ""
    """What it is about: an AuthType, or the ChangeType of a change_contact."""
    share_cdata: ShareCdata = ShareCdata.WITHOUT_BEGINNING
    receive_id: str = ""
    """Sealed and addressed for it, instead of for whom its kind usually is."""
    text: str = ""
    message_id: int = 0
    change_type: ChangeType = ChangeType.CORP_JOIN

    raw: bytes | None = None
    """Sent unchanged, instead of a generated message."""

    @property
    def origin(self) -> AppId:
        """Return the app, and the corp, that the event comes from."""
        return self.app if self.kind in OF_PARENT else self.place

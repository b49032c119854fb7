"""A callback as an app's administrator enters it, with what WeCom's documentation leaves open."""

from dataclasses import KW_ONLY, dataclass
from enum import StrEnum

from yarl import URL

from broker.simulator.callbacks.envelope import Address, Format
from broker.simulator.callbacks.kinds import AUTHORIZATIONS, COMMANDS, EventKind
from broker.simulator.callbacks.messages import Occasion
from broker.simulator.crypto import CallbackKeys
from broker.simulator.demo import SUITE_ID
from broker.simulator.world.corps import AppId

_COMMAND_SECONDS = 1.0


class Whose(StrEnum):
    """Choose between the two corps that a child's event has to do with."""

    PARENT = "parent"
    CHILD = "child"

    def of(self, occasion: Occasion) -> AppId:
        """Give the one that was chosen; the parent's own events have no other."""
        return occasion.app if self is Whose.PARENT else occasion.origin


@dataclass(frozen=True, slots=True)
class Callback:
    """Hold where an app's events go, and how. Raises `ValueError` for a URL that is none.

    `receive_id`, `to_user_name` (the outer one) and `agent_id` are not documented for a child's events
    (wecom-api C5), nor is whether a repeat is `sealed_anew`, or how long WeCom waits before one.
    """

    url: str
    keys: CallbackKeys
    _: KW_ONLY
    suite_id: str = ""
    """Makes it the callback of a suite: shares are told as suites hear of them."""
    body_format: Format = Format.XML
    receive_id: Whose = Whose.PARENT
    to_user_name: Whose = Whose.PARENT
    agent_id: Whose = Whose.CHILD
    sealed_anew: bool = True
    within_seconds: float = 5.0
    retries: int = 3
    pause_seconds: float = 0.0

    def __post_init__(self) -> None:
        url = URL(self.url)
        if url.scheme not in ("http", "https") or not url.host:
            raise ValueError(f"{self.url!r} is no http URL")

    def seconds_for(self, kind: EventKind) -> float:
        """Give the time in which an event has to be answered."""
        return min(self.within_seconds, _COMMAND_SECONDS) if kind in AUTHORIZATIONS else self.within_seconds

    def suite(self) -> str:
        """Give the suite that commands are for."""
        return self.suite_id or SUITE_ID

    def agentid_in(self, occasion: Occasion) -> int:
        """Give the AgentID that a message says."""
        return self.agent_id.of(occasion).agentid

    def address(self, occasion: Occasion) -> Address:
        """Say for whom the envelope of an event is."""
        if occasion.kind in COMMANDS:
            return Address(occasion.suite_id, occasion.suite_id)
        return Address(
            self.receive_id.of(occasion).corpid,
            self.to_user_name.of(occasion).corpid,
            str(self.agentid_in(occasion)),
        )

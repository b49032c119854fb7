"""The write-ahead record of one auth_code: it is sent once, whatever happens to whoever sends it.

TAKEN → SENT → DONE    the code is durable; it may be on its way; the authorisation is stored
SENT → TAKEN           WeCom certainly did not read it
TAKEN, SENT → LOST     WeCom refused it, or its answer was lost: an administrator must act
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from broker.domain.secret import Secret

CODE_LIFETIME = timedelta(minutes=10)
"""How long WeCom takes an auth_code (wecom-api B5, C4)."""
KEPT = timedelta(days=30)
"""How long a lost one is shown, and a code that was sent is known as such."""
KEPT_OF_CALLERS = timedelta(hours=1)
"""How long a lost one is kept that only a caller brought: it may be made up."""

InstallationKey = tuple[str, str]
"""The suite's name and the code's hash (`Secret.digest`)."""


class InstallationState(StrEnum):
    """How far the exchange of a code is."""

    TAKEN = "taken"
    SENT = "sent"
    DONE = "done"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Installation:
    """One auth_code, and what became of it."""

    suite: str
    code_hash: str
    fence: int
    """1 when it is taken, so that a repeated push changes nothing."""
    state: InstallationState
    auth_code: Secret | None = field(repr=False)
    """None once it is done or lost."""
    is_reset: bool
    """Whether it replaces the secret of a 代开发 app (reset_permanent_code)."""
    install_state: str
    taken_at: datetime
    """By WeCom's TimeStamp, or when the redirect arrived."""
    sent_at: datetime | None = None
    corp_id: str = ""
    """Of a DONE one."""
    problem: str = ""
    """What keeps the exchange of an open one from succeeding; of a LOST one, what happened and what to do."""
    is_callers: bool = False
    """Whether a caller brought it, not WeCom's push."""
    is_settled: bool = False
    """Whether nobody needs to act on this lost one any more."""
    identity: str = ""
    """The suite's (`App.identity`)."""

    @property
    def key(self) -> InstallationKey:
        """Return the suite and the code's hash."""
        return (self.suite, self.code_hash)

    @property
    def is_open(self) -> bool:
        """Return whether the exchange is outstanding."""
        return self.state in (InstallationState.TAKEN, InstallationState.SENT)

    @property
    def is_lost(self) -> bool:
        """Return whether somebody must act on it."""
        return self.state is InstallationState.LOST and not self.is_settled

    @property
    def kept_until(self) -> datetime:
        """Return when it is forgotten; an open one of a caller is over by then."""
        is_done = self.state is InstallationState.DONE
        return self.taken_at + (KEPT_OF_CALLERS if self.is_callers and not is_done else KEPT)

    @staticmethod
    def name_of(key: InstallationKey) -> str:
        """Return the installation's name in stores, leases and notices."""
        suite, code_hash = key
        return f"installation:{suite}:{code_hash}"

    def reconciled(self, other: "Installation") -> "Installation":
        """Return the newer one."""
        return max(self, other, key=lambda installation: installation.fence)

    def is_worth_sharing(self, now: datetime) -> bool:
        """Return whether a store that lost it should have it back: else its code could be sent again."""
        return now < self.kept_until


def count_followed(codes: Iterable[Installation]) -> int:
    """Return how many lost codes were followed by an installation, perhaps of the same corp.

    A code does not name its corp (wecom-api C4).
    """
    lost = followed = 0
    for code in sorted(codes, key=lambda code: code.taken_at):
        if code.is_lost:
            lost += 1
        elif code.state is InstallationState.DONE and followed < lost:
            followed += 1
    return followed

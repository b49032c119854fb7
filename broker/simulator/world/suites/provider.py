"""A provider (服务商), and the ids by which it knows corps and their members."""

import base64
import hashlib
from dataclasses import dataclass, field

from broker.simulator.world.corps import AppId

_LETTERS = 30


@dataclass(slots=True)
class Provider:
    """Hold a provider; `generations` counts how often each corp came back under another corpid."""

    corp_id: str
    secret: str = field(repr=False)
    name: str = ""
    trusted_ips: frozenset[str] | None = None
    encrypted_ids: bool = True
    """Whether it sees encrypted ids, as providers do since 2021 (wecom-api B17)."""
    generations: dict[str, int] = field(default_factory=dict)

    @property
    def holder(self) -> AppId:
        """Return what owns its tokens."""
        return AppId(self.corp_id, 0)

    def trusts(self, ip: str) -> bool:
        """Return whether calls from this address pass the provider's list (IP白名单); without one, all do."""
        return self.trusted_ips is None or ip in self.trusted_ips

    def corpid(self, corpid: str) -> str:
        """Return the id by which the provider knows a corp: the same over all its suites."""
        if not self.hides(corpid):
            return corpid
        return "wp" + _digest(self.corp_id, corpid, str(self.generations.get(corpid, 0)))

    def userid(self, corpid: str, userid: str) -> str:
        """Return the id by which the provider knows a member of a corp that authorised it."""
        return self.open_userid(corpid, userid) if self.hides(corpid) else userid

    def open_userid(self, corpid: str, userid: str) -> str:
        """Return the encrypted id (密文) of a member, also for corps that authorised nothing."""
        return "wo" + _digest(self.corp_id, corpid, userid.lower())

    def hides(self, corpid: str) -> bool:
        """Return whether the provider sees the ids of this corp encrypted."""
        # A provider's own corp has plain ids (wecom-api G31).
        return self.encrypted_ids and corpid != self.corp_id


def _digest(*parts: str) -> str:
    text = "\n".join(parts).encode(errors="replace")
    return base64.urlsafe_b64encode(hashlib.sha256(text).digest()).decode()[:_LETTERS]

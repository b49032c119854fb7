"""How a member's userid looks from another corp: plain, or encrypted (密文) as a third party sees it."""

import base64
import hashlib

from broker.simulator.world.corps import AppId, Corp, Member
from broker.simulator.world.settings import Settings
from broker.simulator.world.shares import BusinessType, Owner
from broker.simulator.world.suites.suites import Suites


def encrypted_userid(parent: AppId, corpid: str, userid: str) -> str:
    """Return the id by which the parent's app knows a child's member; it never changes."""
    text = "\n".join((parent.corpid, str(parent.agentid), corpid, userid.lower()))
    return "wo" + base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode()[:30]


class UserIds:
    """Show members by the id that the owner of a token knows."""

    def __init__(self, settings: Settings, suites: Suites) -> None:
        self._settings = settings
        self._suites = suites

    def shown(self, owner: Owner, userid: str) -> str:
        """Return the provider's id to a suite's app; else plain in 企业互联, encrypted in 上下游."""
        if viewer := self._suites.viewer(owner):
            return viewer.userid(owner.app.corpid, userid)
        if owner.parent is None or not self._hides(owner):
            return userid
        return encrypted_userid(owner.parent, owner.app.corpid, userid)

    def in_mini_program(self, owner: Owner, userid: str) -> str:
        """Return the id that a mini-program's session has: a child's member is always encrypted."""
        if self._suites.viewer(owner) or owner.parent is None:
            return self.shown(owner, userid)
        return encrypted_userid(owner.parent, owner.app.corpid, userid)

    def find(self, corp: Corp, owner: Owner, userid: str) -> Member | None:
        """Find the member whom the owner of a token knows by this userid."""
        if not self._hides(owner):
            return corp.members.get(userid.lower())
        return next(
            (member for member in corp.members.values() if self.shown(owner, member.userid) == userid), None
        )

    def _hides(self, owner: Owner) -> bool:
        if viewer := self._suites.viewer(owner):
            return viewer.hides(owner.app.corpid)
        # The documentation says this only of events (wecom-api I6): a setting decides.
        return (
            self._settings.supply_chain_userids_encrypted and owner.business_type is BusinessType.SUPPLY_CHAIN
        )

"""How a member's userid looks from another corp: plain, or encrypted (密文) as a third party sees it."""

import base64
import hashlib

from broker.simulator.world.corps import AppId, Corp, Member
from broker.simulator.world.settings import Settings
from broker.simulator.world.shares import BusinessType, Owner


def encrypted_userid(parent: AppId, corpid: str, userid: str) -> str:
    """Return the id by which the parent's app knows a child's member; it never changes."""
    text = "\n".join((parent.corpid, str(parent.agentid), corpid, userid.lower()))
    return "wo" + base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode()[:30]


def shown_userid(settings: Settings, owner: Owner, userid: str) -> str:
    """Return a member's id as the owner of a token sees it: plain in 企业互联, encrypted in 上下游."""
    if owner.parent is None or not _is_encrypted(settings, owner):
        return userid
    return encrypted_userid(owner.parent, owner.app.corpid, userid)


def find_member(settings: Settings, corp: Corp, owner: Owner, userid: str) -> Member | None:
    """Find the member whom the owner of a token knows by this userid."""
    if not _is_encrypted(settings, owner):
        return corp.members.get(userid.lower())
    return next(
        (
            member
            for member in corp.members.values()
            if shown_userid(settings, owner, member.userid) == userid
        ),
        None,
    )


def _is_encrypted(settings: Settings, owner: Owner) -> bool:
    # The documentation says this only of events (wecom-api I6): a setting decides.
    return settings.supply_chain_userids_encrypted and owner.business_type is BusinessType.SUPPLY_CHAIN

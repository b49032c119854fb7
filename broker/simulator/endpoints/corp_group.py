"""Apps shared down a corp group: 企业互联 and 上下游."""

import base64
from collections.abc import Sequence
from itertools import islice

from broker.simulator.answers import Answer, Refusal
from broker.simulator.endpoints.app_check import check_app, is_third_party
from broker.simulator.endpoints.call import Call
from broker.simulator.endpoints.registry import endpoint
from broker.simulator.world import World
from broker.simulator.world.corps import AppId
from broker.simulator.world.shares import BusinessType, Owner, Share
from broker.simulator.world.tokens import AppToken

_LARGEST_PAGE = 100


@endpoint("POST", "/cgi-bin/corpgroup/corp/list_app_share_info", token=AppToken)
def list_app_share_info(world: World, call: Call) -> Answer:
    """List the children that the token's app is shared with; the agentid is the parent's."""
    parent = _parent_app(call)
    business_type = call.business_type()
    limit = _limit(call)
    after = _read_cursor(call.text("cursor"), parent, business_type)
    shares = world.shares.listed_after(parent, business_type, after)
    if corpid := call.text("corpid"):
        partner = _partner(world, parent, corpid)
        shares = (share for share in shares if share.child.corpid == partner)
    page = list(islice(shares, limit or None))
    more = next(shares, None) is not None
    return {
        "ending": 0 if more else 1,
        "corp_list": [_listed(world, call.owner, share) for share in page],
        "next_cursor": _cursor(page, parent, business_type) if more else "",
    }


@endpoint("POST", "/cgi-bin/corpgroup/corp/gettoken", token=AppToken)
def corp_gettoken(world: World, call: Call) -> Answer:
    """Grant a token of a child, for the CHILD's agentid and the business_type of the share."""
    corpid = call.text("corpid", missing=41002)
    agentid = call.agentid()
    business_type = call.business_type()
    parent = call.owner.app
    # A third party has an authorisation of its own in each child (wecom-api B13).
    if is_third_party(world, call.owner):
        raise Refusal(48002)
    child = AppId(_partner(world, parent, corpid), agentid)
    if world.shares.find(parent, child, business_type) is None:
        raise Refusal(670001)
    check_app(world, child, call.ip)
    grant = world.grant(call.path, Owner(child, parent, business_type))
    return {"access_token": grant.token.value, "expires_in": grant.expires_in}


def _parent_app(call: Call) -> AppId:
    if call.agentid() != call.owner.app.agentid:
        raise Refusal(301002)
    if call.owner.parent is not None:
        raise Refusal(48002)
    return call.owner.app


def _partner(world: World, parent: AppId, corpid: str) -> str:
    corp = world.corps.find(corpid)
    if corp is None or not world.shares.partners(parent.corpid, corp.corpid):
        raise Refusal(670004)
    return corp.corpid


def _limit(call: Call) -> int:
    limit = call.integer("limit")
    if not 0 <= limit <= _LARGEST_PAGE:
        raise Refusal(40058, f"invalid limit, should be 0 to {_LARGEST_PAGE}")
    return limit


def _listed(world: World, parent: Owner, share: Share) -> Answer:
    corp = world.corps.find(share.child.corpid)
    return {
        "corpid": world.suites.shown_corpid(parent, share.child.corpid),
        "corp_name": corp.name if corp else "",
        "agentid": share.child.agentid,
    }


# A cursor names its list and the last share returned: repeating it returns the same page again.
def _cursor(page: Sequence[Share], parent: AppId, business_type: BusinessType) -> str:
    place = f"{parent.corpid}:{parent.agentid}:{business_type:d}:{page[-1].serial}"
    return base64.urlsafe_b64encode(place.encode()).decode()


def _read_cursor(cursor: str, parent: AppId, business_type: BusinessType) -> int:
    if not cursor:
        return 0
    try:
        place = base64.b64decode(cursor, altchars=b"-_", validate=True).decode()
        listing, serial = place.rsplit(":", 1)
        if listing == f"{parent.corpid}:{parent.agentid}:{business_type:d}":
            return int(serial)
    except ValueError:
        pass
    raise Refusal(50100)

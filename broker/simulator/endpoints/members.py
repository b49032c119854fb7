"""Members (成员) of the corp that a token stands for."""

from broker.simulator.answers import Answer, Refusal
from broker.simulator.endpoints.call import Call
from broker.simulator.endpoints.registry import endpoint
from broker.simulator.world import World
from broker.simulator.world.tokens import AppToken

_LONGEST_USERID = 64


@endpoint("GET", "/cgi-bin/user/get", token=AppToken)
def user_get(world: World, call: Call) -> Answer:
    """Show what a self-built app, or a parent through a child's token, may read about a member."""
    userid = call.parameter("userid", missing=41009)
    # "CorpId/userid", as auth/getuserinfo returns it, has to be split first.
    if "/" in userid or len(userid.encode()) > _LONGEST_USERID:
        raise Refusal(40003)
    corp = world.corps.find(call.owner.app.corpid)
    member = world.userids.find(corp, call.owner, userid) if corp else None
    if member is None:
        raise Refusal(60111)
    return {
        "userid": world.userids.shown(call.owner, member.userid),
        "name": member.name,
        **({"position": member.position} if member.position else {}),
        "department": list(member.departments),
        "order": [0 for _ in member.departments],
        "status": 1,
        "main_department": member.departments[0],
    }

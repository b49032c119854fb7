"""Who is behind a web login: codes, and the profile that a user agreed to show."""

from broker.simulator.answers import Answer, Refusal
from broker.simulator.endpoints.app_check import is_third_party
from broker.simulator.endpoints.call import Call
from broker.simulator.endpoints.registry import endpoint
from broker.simulator.world import World
from broker.simulator.world.people.logins import CodeKind, Visitor
from broker.simulator.world.tokens import AppToken


@endpoint("GET", "/cgi-bin/auth/getuserinfo", token=AppToken)
def getuserinfo(world: World, call: Call) -> Answer:
    """Exchange a code, once, with the token of the app that issued the link: in a corp group the parent's."""
    value = call.parameter("code", missing=41008)
    if not call.owner.app.agentid or is_third_party(world, call.owner):
        raise Refusal(48002)
    code = world.logins.spend_code(CodeKind.OAUTH, value, call.owner, world.now())
    answer = _identity(world, code.visitor)
    member = code.visitor.owner
    if code.privateinfo and member and member.parent is None:
        answer["user_ticket"] = world.logins.add_user_ticket(code.app, code.visitor.userid, world.now())
        answer["expires_in"] = int(world.settings.user_ticket_lifetime)
    return answer


@endpoint("POST", "/cgi-bin/auth/getuserdetail", token=AppToken)
def getuserdetail(world: World, call: Call) -> Answer:
    """Show the profile of a member of the app's own corp who agreed to it."""
    value = call.text("user_ticket", missing=84090)
    ticket = world.logins.user_ticket(value, call.owner, world.now())
    member = world.corps.get(ticket.corpid).members[ticket.userid.lower()]
    userid = world.userids.shown(call.owner, ticket.userid)
    return {
        "userid": userid,
        "gender": "1",
        "avatar": "http://shp.qpic.cn/bizmp/simulated/0",
        "qr_code": "https://open.work.weixin.qq.com/wwopen/userQRCode?vcode=simulated",
        "mobile": "13800000000",
        "email": f"{userid}@example.com",
        "biz_mail": f"{userid}@qyy.example.com",
        "address": member.address,
    }


def _identity(world: World, visitor: Visitor) -> dict[str, object]:
    if visitor.owner is None:
        ids = {"openid": visitor.openid, "external_userid": visitor.external_userid}
        return {name: value for name, value in ids.items() if value}
    userid = world.userids.shown(visitor.owner, visitor.userid)
    if visitor.owner.parent is None:
        return {"userid": userid}
    return {"userid": f"{world.suites.shown_corpid(visitor.owner, visitor.owner.app.corpid)}/{userid}"}

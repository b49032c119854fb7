"""Who is behind a login at a third-party app (wecom-api B10, B11)."""

from broker.simulator.answers import Answer, Refusal
from broker.simulator.endpoints.call import Call
from broker.simulator.endpoints.registry import endpoint
from broker.simulator.endpoints.suites.authorized import suite_of
from broker.simulator.world import World
from broker.simulator.world.people.logins import CodeKind, LoginCode
from broker.simulator.world.suites.suite import Suite
from broker.simulator.world.tokens import SuiteToken


@endpoint("GET", "/cgi-bin/service/auth/getuserinfo3rd", token=SuiteToken)
def getuserinfo3rd(world: World, call: Call) -> Answer:
    """Exchange a code of the suite's link, once."""
    suite = _third_party(world, call)
    value = call.parameter("code", missing=41008)
    code = world.logins.spend_code(CodeKind.OAUTH, value, call.owner, world.now())
    if code.visitor.owner is None:
        return {"openid": code.visitor.openid}
    corpid = code.visitor.owner.app.corpid
    answer = {**_member(world, suite, code)}
    known = world.suites.find_authorization(suite.suite_id, corpid)
    if code.privateinfo and known and known.active:
        ticket = world.logins.add_suite_user_ticket(suite.holder, corpid, code.visitor.userid, world.now())
        answer["user_ticket"] = ticket
        answer["expires_in"] = int(world.settings.suite_user_ticket_lifetime)
    return answer


@endpoint("POST", "/cgi-bin/service/auth/getuserdetail3rd", token=SuiteToken)
def getuserdetail3rd(world: World, call: Call) -> Answer:
    """Show the profile of a member who agreed to it; the name is the userid."""
    suite = _third_party(world, call)
    value = call.text("user_ticket", missing=84090)
    ticket = world.logins.user_ticket(value, call.owner, world.now())
    provider = world.suites.provider_of(suite)
    userid = provider.userid(ticket.corpid, ticket.userid)
    return {
        "corpid": provider.corpid(ticket.corpid),
        "userid": userid,
        "name": userid,
        "gender": "1",
        "avatar": "https://wework.qpic.cn/wwhead/simulated",
        "qr_code": "https://open.work.weixin.qq.com/wwopen/userQRCode?vcode=simulated",
    }


@endpoint("GET", "/cgi-bin/service/miniprogram/jscode2session", token=SuiteToken)
def jscode2session_of_suite(world: World, call: Call) -> Answer:
    """Exchange a js_code of the mini-program that is bound to the suite, once."""
    suite = _third_party(world, call)
    value = call.parameter("js_code", missing=41008)
    if call.query.get("grant_type") != "authorization_code":
        raise Refusal(40058, "invalid grant_type, should be authorization_code")
    if not suite.mini_program:
        raise Refusal(90212)
    code = world.logins.spend_code(CodeKind.JS, value, call.owner, world.now())
    session = world.logins.open_session(code)
    return {**_member(world, suite, code), "session_key": session.session_key}


def _third_party(world: World, call: Call) -> Suite:
    suite = suite_of(world, call)
    if suite.customized:
        raise Refusal(48002)
    return suite


def _member(world: World, suite: Suite, code: LoginCode) -> Answer:
    if code.visitor.owner is None:
        raise LookupError("only a member has a userid")
    provider, corpid, userid = (
        world.suites.provider_of(suite),
        code.visitor.owner.app.corpid,
        code.visitor.userid,
    )
    known = world.suites.find_authorization(suite.suite_id, corpid)
    authorised = known is not None and known.active
    open_userid = provider.open_userid(corpid, userid)
    return {
        "corpid": provider.corpid(corpid),
        "userid": provider.userid(corpid, userid) if authorised else open_userid,
        "open_userid": open_userid,
    }

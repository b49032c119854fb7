"""Sessions of mini-program users: the parent's, and the child's made from it (小程序)."""

from broker.simulator.answers import Answer, Refusal
from broker.simulator.endpoints.call import Call
from broker.simulator.endpoints.registry import endpoint
from broker.simulator.world import World
from broker.simulator.world.people.logins import CodeKind, MiniSession
from broker.simulator.world.shares import Owner
from broker.simulator.world.tokens import AppToken

_LONGEST = 64


@endpoint("GET", "/cgi-bin/miniprogram/jscode2session", token=AppToken)
def jscode2session(world: World, call: Call) -> Answer:
    """Exchange a js_code, once, with the token of the app that its mini-program is bound to (wecom-api A9).

    A child's member is named by the encrypted userid.
    """
    value = call.parameter("js_code", missing=41008)
    if call.query.get("grant_type") != "authorization_code":
        raise Refusal(40058, "invalid grant_type, should be authorization_code")
    unbound = world.settings.unbound_app_errcode
    code = world.logins.spend_code(CodeKind.JS, value, call.owner, world.now(), another_app=unbound)
    session = world.logins.open_session(code)
    member = _member_of(session)
    return {
        "corpid": world.suites.shown_corpid(member, member.app.corpid),
        "userid": _userid(world, session),
        "session_key": session.session_key,
    }


@endpoint("POST", "/cgi-bin/miniprogram/transfer_session", token=AppToken)
def transfer_session(world: World, call: Call) -> Answer:
    """Make the child's session, with the CHILD's token, from the parent's key and the encrypted userid."""
    userid, session_key = _short(call, "userid", 41009), _short(call, "session_key", 40058)
    if call.owner.parent is None:
        raise Refusal(48002)
    session = world.logins.session(session_key)
    if session.app != call.owner.parent:
        raise Refusal(48002)
    if _member_of(session).app.corpid != call.owner.app.corpid or userid != _userid(world, session):
        raise Refusal(40003)
    return {
        "userid": world.userids.shown(call.owner, session.visitor.userid),
        "session_key": world.logins.transfer(session),
    }


def _short(call: Call, name: str, missing: int) -> str:
    value = call.text(name, missing=missing)
    if len(value.encode(errors="replace")) > _LONGEST:
        raise Refusal(40058, f"invalid {name}, longer than {_LONGEST} bytes")
    return value


def _member_of(session: MiniSession) -> Owner:
    if session.visitor.owner is None:
        raise LookupError("a mini-program knows only members")
    return session.visitor.owner


def _userid(world: World, session: MiniSession) -> str:
    return world.userids.in_mini_program(_member_of(session), session.visitor.userid)

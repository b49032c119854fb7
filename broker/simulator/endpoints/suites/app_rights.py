"""What the app of a suite may do in a corp, and who manages it there."""

from broker.simulator.answers import Answer, Refusal
from broker.simulator.endpoints.call import Call
from broker.simulator.endpoints.registry import endpoint
from broker.simulator.world import World
from broker.simulator.world.suites.authorization import AuthMode, Authorization
from broker.simulator.world.tokens import AppToken

_USUAL = ("contact:sensitive:base", "message:send")
_MANAGES = 1


@endpoint("POST", "/cgi-bin/agent/get_permissions", token=AppToken, bodyless=True)
def get_permissions(world: World, call: Call) -> Answer:
    """List the permissions of the token's app, and when they end if they do."""
    granted = _authorization(world, call).permissions
    return {
        "app_permissions": [*_USUAL, *granted],
        "app_permissions_ext": [
            {"permission_name": name, "expire_time": int(ends_at)}
            for name, ends_at in granted.items()
            if ends_at is not None
        ],
    }


@endpoint("POST", "/cgi-bin/agent/get_admin_list", token=AppToken, bodyless=True)
def get_admin_list(world: World, call: Call) -> Answer:
    """List the admins of the token's app; there are none after 成员授权."""
    authorization = _authorization(world, call)
    if authorization.auth_mode is AuthMode.MEMBER:
        return {"admin": []}
    members = world.corps.get(authorization.corpid).members.values()
    admin = authorization.installer or next((member.userid for member in members), "")
    listed = [{"userid": world.userids.shown(call.owner, admin), "auth_type": _MANAGES}] if admin else []
    return {"admin": listed}


def _authorization(world: World, call: Call) -> Authorization:
    app = call.owner.parent or call.owner.app
    suite = world.suites.suite_of(app)
    found = world.suites.find_authorization(suite.suite_id, app.corpid) if suite else None
    if found is None:
        raise Refusal(60214)
    return found

"""An app's own access_token."""

from broker.simulator.answers import Answer, Refusal
from broker.simulator.endpoints.app_check import check_app
from broker.simulator.endpoints.call import Call
from broker.simulator.endpoints.registry import endpoint
from broker.simulator.world import World
from broker.simulator.world.corps import App, AppId, Corp
from broker.simulator.world.shares import Owner


@endpoint("GET", "/cgi-bin/gettoken")
def gettoken(world: World, call: Call) -> Answer:
    """Grant a token for a corpid and an app's secret."""
    corpid = call.parameter("corpid", missing=41002)
    secret = call.parameter("corpsecret", missing=41004)
    corp = world.corps.find(corpid)
    if corp is None:
        raise Refusal(40013)
    app = _open_app(world, corp, secret, call.ip)
    owner = Owner(AppId(corp.corpid, app.agentid))
    # A 代开发 app goes with the corpid that its provider knows, another app with the plain one.
    if corpid.lower() != world.suites.shown_corpid(owner, corp.corpid).lower():
        raise Refusal(40013)
    check_app(world, owner.app, call.ip)
    grant = world.grant(call.path, owner)
    return {"access_token": grant.token.value, "expires_in": grant.expires_in}


def _open_app(world: World, corp: Corp, secret: str, ip: str) -> App:
    if app := corp.app_with_secret(secret):
        return app
    world.count_wrong_secret(ip)
    raise Refusal(40091 if world.corps.with_secret(secret) else world.settings.wrong_secret_errcode)

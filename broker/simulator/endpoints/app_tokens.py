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
    check_app(world, AppId(corp.corpid, app.agentid), call.ip)
    grant = world.grant(call.path, Owner(AppId(corp.corpid, app.agentid)))
    return {"access_token": grant.token.value, "expires_in": grant.expires_in}


def _open_app(world: World, corp: Corp, secret: str, ip: str) -> App:
    if app := corp.app_with_secret(secret):
        return app
    settings = world.settings
    world.bans.wrong_secret(ip, world.now(), limit=settings.wrong_secret_limit, seconds=settings.ban_seconds)
    raise Refusal(40091 if world.corps.with_secret(secret) else settings.wrong_secret_errcode)

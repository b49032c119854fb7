"""What an app needs before a call is accepted: an existing corp, an enabled app, a trusted address."""

from broker.simulator.answers import Refusal
from broker.simulator.world import World
from broker.simulator.world.corps import AppId


def check_app(world: World, app_id: AppId, ip: str) -> None:
    """Refuse a corp that is gone, an app that was stopped, or an address that is not trusted."""
    corp = world.corps.find(app_id.corpid)
    if corp is None or corp.dissolved:
        raise Refusal(301007)
    app = corp.apps.get(app_id.agentid)
    if app is None or not app.enabled:
        raise Refusal(world.settings.disabled_app_errcode)
    if not app.trusts(ip):
        raise Refusal(60020)

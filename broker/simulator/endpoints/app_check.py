"""What an app needs before a call is accepted: an existing corp, an enabled app, a trusted address."""

from broker.simulator.answers import Refusal
from broker.simulator.world import World
from broker.simulator.world.corps import App, AppId
from broker.simulator.world.shares import Owner


def check_app(world: World, app_id: AppId, ip: str) -> None:
    """Refuse a corp that is gone, an app that was stopped, or an address that is not trusted."""
    corp = world.corps.find(app_id.corpid)
    if corp is None or corp.dissolved:
        raise Refusal(301007)
    app = corp.apps.get(app_id.agentid)
    if app is None or not app.enabled:
        raise Refusal(world.settings.disabled_app_errcode)
    if not app.trusts(ip) or not _provider_trusts(world, app, ip):
        raise Refusal(60020)


def is_third_party(world: World, owner: Owner) -> bool:
    """Return whether a token is of a third-party app, which has calls of its own."""
    suite = world.suites.suite_of(owner.parent or owner.app)
    return suite is not None and not suite.customized


def _provider_trusts(world: World, app: App, ip: str) -> bool:
    # A 代开发 app may have a list of its own; without one the provider's counts (wecom-api B15).
    suite = world.suites.find(app.suite_id)
    return suite is None or app.trusted_ips is not None or world.suites.provider_of(suite).trusts(ip)

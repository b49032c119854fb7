"""What the holder of a suite's or a provider's token needs before a call is accepted."""

from broker.simulator.answers import Refusal
from broker.simulator.world import World
from broker.simulator.world.corps import AppId


def check_suite(world: World, holder: AppId, ip: str) -> None:
    """Refuse a suite that is gone, or an address that its provider does not trust."""
    suite = world.suites.find(holder.corpid)
    if suite is None:
        raise Refusal(40083)
    if not world.suites.provider_of(suite).trusts(ip):
        raise Refusal(60020)


def check_provider(world: World, holder: AppId, ip: str) -> None:
    """Refuse a provider that is gone, or an address that it does not trust."""
    provider = world.suites.find_provider(holder.corpid)
    if provider is None:
        raise Refusal(40013)
    if not provider.trusts(ip):
        raise Refusal(60020)

"""The tokens of suites (应用) and of providers (服务商)."""

from broker.simulator.answers import Answer, Refusal
from broker.simulator.endpoints.call import Call
from broker.simulator.endpoints.registry import endpoint
from broker.simulator.endpoints.suite_check import check_provider, check_suite
from broker.simulator.world import World
from broker.simulator.world.shares import Owner
from broker.simulator.world.tokens import ProviderToken, SuiteToken


@endpoint("POST", "/cgi-bin/service/get_suite_token")
def get_suite_token(world: World, call: Call) -> Answer:
    """Grant a suite_access_token for the suite's secret and one of the newest suite_tickets."""
    suite_id = call.text("suite_id", missing=41021)
    secret = call.text("suite_secret", missing=41024)
    ticket = call.text("suite_ticket", missing=41023)
    if (suite := world.suites.find(suite_id)) is None:
        raise Refusal(40083)
    if suite.secret != secret:
        world.count_wrong_secret(call.ip)
        raise Refusal(40080)
    check_suite(world, suite.holder, call.ip)
    if not world.suites.tickets.accepts(suite_id, ticket, world.now()):
        raise Refusal(40085)
    grant = world.grant(call.path, Owner(suite.holder), SuiteToken)
    return {"suite_access_token": grant.token.value, "expires_in": grant.expires_in}


@endpoint("POST", "/cgi-bin/service/get_provider_token")
def get_provider_token(world: World, call: Call) -> Answer:
    """Grant a provider_access_token."""
    corp_id = call.text("corpid", missing=41002)
    secret = call.text("provider_secret", missing=41004)
    if (provider := world.suites.find_provider(corp_id)) is None:
        raise Refusal(40013)
    if provider.secret != secret:
        # No code is documented for a wrong provider_secret (wecom-api I5).
        world.count_wrong_secret(call.ip)
        raise Refusal(world.settings.wrong_secret_errcode)
    check_provider(world, provider.holder, call.ip)
    grant = world.grant(call.path, Owner(provider.holder), ProviderToken)
    return {"provider_access_token": grant.token.value, "expires_in": grant.expires_in}

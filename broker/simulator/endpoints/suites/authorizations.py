"""What a corp has authorised, and the token to act in it."""

from broker.simulator.answers import Answer, Refusal
from broker.simulator.endpoints.app_check import check_app
from broker.simulator.endpoints.call import Call
from broker.simulator.endpoints.registry import endpoint
from broker.simulator.endpoints.suites.authorized import authorized, suite_of
from broker.simulator.endpoints.suites.descriptions import auth_info, corp_in_full, edition_info
from broker.simulator.world import World
from broker.simulator.world.shares import Owner
from broker.simulator.world.tokens import SuiteToken


@endpoint("POST", "/cgi-bin/service/v2/get_auth_info", token=SuiteToken)
def get_auth_info_v2(world: World, call: Call) -> Answer:
    """Describe an authorisation, without what the corp has paid for."""
    authorization = authorized(world, call)
    return {
        "auth_corp_info": corp_in_full(world, authorization),
        **auth_info(world, authorization),
    }


@endpoint("POST", "/cgi-bin/service/get_auth_info", token=SuiteToken)
def get_auth_info(world: World, call: Call) -> Answer:
    """Describe an authorisation, with what the corp has paid for."""
    authorization = authorized(world, call)
    return {
        "auth_corp_info": corp_in_full(world, authorization),
        **auth_info(world, authorization),
        **edition_info(authorization),
    }


@endpoint("POST", "/cgi-bin/service/get_corp_token", token=SuiteToken)
def get_corp_token(world: World, call: Call) -> Answer:
    """Grant a token of a third-party app in a corp; a 代开发 app has to use gettoken."""
    if suite_of(world, call).customized:
        raise Refusal(48002)
    authorization = authorized(world, call)
    check_app(world, authorization.app, call.ip)
    grant = world.grant(call.path, Owner(authorization.app))
    return {"access_token": grant.token.value, "expires_in": grant.expires_in}

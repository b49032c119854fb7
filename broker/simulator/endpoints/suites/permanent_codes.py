"""The exchange of an auth_code (临时授权码) for the permanent code (永久授权码): once."""

from broker.simulator.answers import Answer
from broker.simulator.endpoints.call import Call
from broker.simulator.endpoints.registry import endpoint
from broker.simulator.endpoints.suites.authorized import suite_of
from broker.simulator.endpoints.suites.descriptions import (
    auth_info,
    corp_in_full,
    corp_in_short,
    edition_info,
    installer,
)
from broker.simulator.world import World
from broker.simulator.world.shares import Owner
from broker.simulator.world.suites.codes import AuthCode
from broker.simulator.world.tokens import SuiteToken


@endpoint("POST", "/cgi-bin/service/v2/get_permanent_code", token=SuiteToken)
def get_permanent_code_v2(world: World, call: Call) -> Answer:
    """Return the permanent code with little about the corp: no token, no app."""
    code = _spend(world, call)
    authorization = code.authorization
    return {
        "permanent_code": world.suites.exchange(authorization),
        "auth_corp_info": corp_in_short(world, authorization),
        **installer(world, authorization),
        **_state(code),
    }


@endpoint("POST", "/cgi-bin/service/get_permanent_code", token=SuiteToken)
def get_permanent_code(world: World, call: Call) -> Answer:
    """Return the permanent code with everything about the corp, and a third-party app's first token."""
    code = _spend(world, call)
    authorization = code.authorization
    first_token: dict[str, object] = {}
    if not suite_of(world, call).customized:
        grant = world.grant(call.path, Owner(authorization.app))
        first_token = {"access_token": grant.token.value, "expires_in": grant.expires_in}
    return {
        **first_token,
        "permanent_code": world.suites.exchange(authorization),
        "auth_corp_info": corp_in_full(world, authorization),
        **auth_info(world, authorization),
        **installer(world, authorization),
        **edition_info(authorization),
        **_state(code),
    }


def _spend(world: World, call: Call) -> AuthCode:
    value = call.text("auth_code", missing=41008)
    return world.suites.codes.spend(value, suite_of(world, call).suite_id, world.now())


def _state(code: AuthCode) -> Answer:
    return {"state": code.state} if code.state else {}

"""The start of an installation by link: the pre_auth_code (预授权码)."""

from broker.simulator.answers import Answer, Refusal
from broker.simulator.endpoints.call import Call
from broker.simulator.endpoints.registry import endpoint
from broker.simulator.endpoints.suites.authorized import suite_of
from broker.simulator.world import World
from broker.simulator.world.tokens import SuiteToken

_TEST_INSTALL = 1


@endpoint("GET", "/cgi-bin/service/get_pre_auth_code", token=SuiteToken)
def get_pre_auth_code(world: World, call: Call) -> Answer:
    """Hand out a pre_auth_code."""
    code = world.suites.codes.add_pre(suite_of(world, call).suite_id, world.now())
    return {"pre_auth_code": code.value, "expires_in": int(world.settings.pre_auth_code_lifetime)}


@endpoint("POST", "/cgi-bin/service/set_session_info", token=SuiteToken)
def set_session_info(world: World, call: Call) -> Answer:
    """Choose between a formal install and a test; a published suite takes formal ones only."""
    suite = suite_of(world, call)
    code = world.suites.codes.pre(call.text("pre_auth_code", missing=40077), suite.suite_id, world.now())
    session = call.body.get("session_info")
    auth_type = session.get("auth_type", 0) if isinstance(session, dict) else None
    if type(auth_type) is not int or auth_type not in (0, _TEST_INSTALL):
        raise Refusal(40058, "invalid session_info")
    if auth_type == _TEST_INSTALL and suite.published:
        raise Refusal(40058, "invalid auth_type, the suite is published")
    code.test_install = auth_type == _TEST_INSTALL
    return {}

"""Calls that need nothing but a suite's or a provider's token."""

from broker.simulator.answers import Answer, Refusal
from broker.simulator.endpoints.call import Call
from broker.simulator.endpoints.registry import endpoint
from broker.simulator.endpoints.suites.authorized import suite_of
from broker.simulator.world import World
from broker.simulator.world.tokens import ProviderToken, SuiteToken

_LONGEST_STATE = 32
_MOST_TEMPLATES = 9
_QR_CODE_SECONDS = 864000


@endpoint("POST", "/cgi-bin/service/corpid_to_opencorpid", token=ProviderToken)
def corpid_to_opencorpid(world: World, call: Call) -> Answer:
    """Convert the plain id of a corp that authorised one of the provider's suites."""
    corpid = call.text("corpid", missing=41002)
    provider = world.suites.provider(call.owner.app.corpid)
    corp = world.corps.find(corpid)
    known = [
        world.suites.find_authorization(suite.suite_id, corp.corpid) if corp else None
        for suite in world.suites
        if suite.provider_id == provider.corp_id
    ]
    if corp is None or not any(found and found.active for found in known):
        raise Refusal(48001)
    return {"open_corpid": provider.corpid(corp.corpid)}


@endpoint("POST", "/cgi-bin/service/get_app_qrcode", token=SuiteToken)
def get_app_qrcode(world: World, call: Call) -> Answer:
    """Return the address of a QR code that installs the token's own suite."""
    suite_id, state = call.text("suite_id", missing=41021), _state(call)
    suite = suite_of(world, call)
    if suite_id != suite.suite_id:
        raise Refusal(48003)
    if not suite.published:
        raise Refusal(48002)
    return {"qrcode": f"https://open.work.weixin.qq.com/wwopen/simulated?suite_id={suite_id}&state={state}"}


@endpoint("POST", "/cgi-bin/service/get_customized_auth_url", token=ProviderToken)
def get_customized_auth_url(world: World, call: Call) -> Answer:
    """Return the address of a QR code that installs 代开发 templates of the provider."""
    state, templates = _state(call), call.body.get("templateid_list")
    if not isinstance(templates, list) or not 1 <= len(templates) <= _MOST_TEMPLATES:
        raise Refusal(40058, "invalid templateid_list")
    for name in templates:
        suite = world.suites.find(name) if isinstance(name, str) else None
        if suite is None or not suite.customized or suite.provider_id != call.owner.app.corpid:
            raise Refusal(40083)
    url = f"https://open.work.weixin.qq.com/wwopen/simulated?template={templates[0]}&state={state}"
    return {"qrcode_url": url, "expires_in": _QR_CODE_SECONDS}


def _state(call: Call) -> str:
    state = call.text("state")
    if len(state) > _LONGEST_STATE or (state and not (state.isascii() and state.isalnum())):
        raise Refusal(84025)
    return state

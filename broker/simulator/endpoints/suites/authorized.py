"""What the calls about one corp's authorisation have in common: who calls for whom, with which code."""

from broker.simulator.answers import Refusal
from broker.simulator.endpoints.call import Call
from broker.simulator.world import World
from broker.simulator.world.corps import Corp
from broker.simulator.world.suites.authorization import Authorization
from broker.simulator.world.suites.suite import Suite


def suite_of(world: World, call: Call) -> Suite:
    """Return the suite of the token; only for endpoints registered with a suite token."""
    return world.suites.get(call.owner.app.corpid)


def authorized(world: World, call: Call) -> Authorization:
    """Return the authorisation that auth_corpid and permanent_code open."""
    corpid = call.text("auth_corpid", missing=84054)
    permanent_code = call.text("permanent_code", missing=41025)
    suite, corp = suite_of(world, call), _corp(world, call, corpid)
    if corp.dissolved:
        raise Refusal(301007)
    found = world.suites.find_authorization(suite.suite_id, corp.corpid)
    if found and found.active and found.opens(permanent_code):
        return found
    if _of_another_suite(world, suite, corp, permanent_code):
        raise Refusal(48003)
    if found is None:
        raise Refusal(world.settings.never_authorized_errcode)
    raise Refusal(40084 if found.active else world.settings.cancelled_errcode)


def _corp(world: World, call: Call, corpid: str) -> Corp:
    if (corp := world.corps.find(corpid)) is None:
        raise Refusal(2000002)
    if world.suites.provider_of(suite_of(world, call)).corpid(corp.corpid) != corpid:
        raise Refusal(710000)
    return corp


def _of_another_suite(world: World, suite: Suite, corp: Corp, permanent_code: str) -> bool:
    others = [
        world.suites.find_authorization(other.suite_id, corp.corpid)
        for other in world.suites
        if other is not suite and other.provider_id == suite.provider_id
    ]
    return any(found and found.active and found.opens(permanent_code) for found in others)

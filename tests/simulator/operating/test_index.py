"""GET /_simulator/: what the control API can do, read off its own routes."""

import pytest

from broker.simulator.control.routes import ACTIONS
from tests.simulator.caller import Caller


@pytest.fixture
async def index(wecom: Caller) -> str:
    async with wecom.session.get("/_simulator/") as response:
        assert (200, "text/plain") == (response.status, response.content_type)
        return await response.text()


def entry(index: str, route: str) -> list[str]:
    """Return the lines about one route, without their indentation."""
    lines = index.splitlines()
    start = lines.index(route)
    end = next((n for n in range(start, len(lines)) if not lines[n]), len(lines))
    return [line.strip() for line in lines[start + 1 : end]]


def test_each_route_is_in_the_index_with_what_it_is_for(index: str) -> None:
    assert len(ACTIONS) > 20
    for (method, name), action in ACTIONS.items():
        assert str(action.__doc__).splitlines()[0] == entry(index, f"{method} /_simulator/{name}")[0]


async def test_the_index_is_found_without_the_slash_too(wecom: Caller, index: str) -> None:
    async with wecom.session.get("/_simulator") as response:
        assert index == await response.text()


def test_fields_are_told_with_what_they_take(index: str) -> None:
    assert [
        "corpid: a string, required",
        "name: a string",
        "name_base64: bytes in base64",
        "dissolved: true or false; default false",
    ] == entry(index, "POST /_simulator/corps")[1:]
    quota = entry(index, "POST /_simulator/quotas")[1:]
    assert "endpoint: the name of an endpoint, required" in quota
    assert "limit: an integer, 0 or more, required" in quota
    assert "seconds: a number, 0 or more; default 60" in quota


def test_fields_of_some_cases_are_told_with_the_case(index: str) -> None:
    faults = entry(index, "POST /_simulator/faults")

    assert "kind: delay, errcode, status, reset, truncated, hang or junk, required" in faults
    assert "seconds: a number, 0 or more, required, with kind delay" in faults
    assert "takes_effect: true or false; default false, with kind reset, hang or junk" in faults
    assert 'endpoint: the name of an endpoint, or "*"; default "*"' in faults


def test_one_thing_or_another_is_told_in_full(index: str) -> None:
    kill = entry(index, "POST /_simulator/kill")

    assert [
        "token: a string",
        "corpid: a string, required, without token",
        "agentid: an integer, 0 or more, required, without token",
    ] == kill[1:]


def test_what_may_be_null_says_so(index: str) -> None:
    assert "trusted_ips: a list of strings, or null" in entry(index, "POST /_simulator/apps")
    assert "old_value_alive: a number, 0 or more, or null" in entry(index, "POST /_simulator/settings")


def test_what_takes_nothing_has_no_fields(index: str) -> None:
    assert 1 == len(entry(index, "DELETE /_simulator/calls"))


async def test_making_the_index_changes_nothing(wecom: Caller) -> None:
    before = await wecom.control("GET", "world")
    await wecom.session.get("/_simulator/")

    assert before == await wecom.control("GET", "world")

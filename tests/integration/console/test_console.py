"""Who sees the console and who may press its button is judged as for the same calls over gRPC."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.domain.access import Action, Caller, Rule
from broker.simulator.world.faults import Errcode
from tests.integration.console.place import (
    CALLERS,
    CRM_ONLY,
    OPS,
    ORDERS,
    WATCHER,
    Place,
    basic,
    console,
)
from tests.kit.processes.fleet import connect, refused, until

SAFE = {
    "Cache-Control": "no-store",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
SITES = {
    "another site": {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
    "a sibling": {"Sec-Fetch-Site": "same-site"},
    "an old browser at another site": {"Origin": "http://evil.example"},
    "a page without an origin": {"Origin": "null"},
    "a bookmark": {"Sec-Fetch-Site": "none"},
    "nobody says": {},
}
RIGHTS = [
    (OPS, "/", 200),
    (WATCHER, "/", 200),
    (CRM_ONLY, "/", 403),
    (CRM_ONLY, "/?app=crm", 200),
    (CRM_ONLY, "/?app=hr", 403),
    (ORDERS, "/", 403),
    (ORDERS, "/?app=crm", 403),
    (OPS, "/?app=nosuch", 404),
    (OPS, "/?app=%3Cscript%3E", 400),
    (OPS, "/nowhere", 404),
]
ENGLISH, CHINESE = "Apps × corps", "应用 × 企业"
LANGUAGES = [
    ("", "", ENGLISH),
    ("zh-CN,zh;q=0.9,en;q=0.8", "", CHINESE),
    ("de, en;q=0.7, zh;q=0.3", "", ENGLISH),
    ("zh;q=0.2, en;q=0.1, ;;, *;q=x", "", CHINESE),
    ("zh-CN", "?lang=en", ENGLISH),
    ("en", "?lang=zh", CHINESE),
    ("en", "?lang=xx", ENGLISH),
]


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    # Whoever connects to the socket file is ops.
    listener = {"address": f"unix://{tmp_path}/ops.sock", "caller": "ops"}
    async with console(tmp_path, callers=CALLERS, server={"grpc": [listener]}) as place:
        yield place


async def disable(place: Place, app: str = "crm") -> None:
    """Have WeCom refuse the app, and the broker remember that."""
    place.here.world.faults.add("gettoken", Errcode(50003, "app disabled"))
    async with connect(place.here.address) as (replica,):
        assert "APP_DISABLED" == (await refused(replica.of(app).token())).reason
    place.here.world.faults.clear()


async def test_who_proves_nothing_is_asked_for_a_password_and_sees_nothing(place: Place) -> None:
    for headers in ({}, basic("wrong"), {"Authorization": "Basic %%%"}, {"Authorization": "Bearer wrong"}):
        answer = await place.browser.get(**headers)

        assert 401 == answer.status
        assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")
        assert "UNAUTHENTICATED" in answer.text
        assert "crm" not in answer.text


async def test_the_page_is_for_who_has_admin_read(place: Place) -> None:
    for token, path, status in RIGHTS:
        answer = await place.browser.get(path, token)

        assert status == answer.status, (token, path)
        assert "<script" not in answer.text
        assert SAFE.items() <= answer.headers.items()
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")


async def test_a_bearer_header_does_as_well(place: Place) -> None:
    assert 200 == (await place.browser.get(Authorization=f"Bearer {WATCHER}")).status


async def test_one_connection_serves_each_request_for_its_own_caller(place: Place) -> None:
    """A caller is not remembered for the connection, nor blamed for what a stranger does on it."""
    assert 200 == (await place.browser.get("/", OPS)).status
    assert 401 == (await place.browser.get("/", "wrong")).status
    # A browser that asks for nothing but to be asked for its password is no stranger.
    assert 401 == (await place.browser.get("/")).status

    [stranger] = [each for each in place.records() if "refused" == each["outcome"]]
    assert ("UNAUTHENTICATED", "") == (stranger["reason"], stranger["caller"])


async def test_what_is_refused_is_shown_and_tried_again_by_a_button(place: Place) -> None:
    await disable(place)

    page = (await place.browser.get("/", OPS)).text
    assert "APP_DISABLED" in page
    assert 'name="retry" value="crm"' in page
    assert 'name="retry"' not in (await place.browser.get("/", WATCHER)).text

    answer = await place.browser.try_again("crm", OPS)
    assert (303, "/?lang=en&retried=crm") == (answer.status, answer.headers["Location"])
    page = (await place.browser.get(answer.headers["Location"], OPS)).text
    assert "What WeCom refused to crm is forgotten" in page
    assert 'name="retry"' not in page
    async with connect(place.here.address) as (replica,):
        assert (await replica.token()).value


async def test_try_again_leaves_an_audit_record_and_is_limited_as_over_grpc(place: Place) -> None:
    await disable(place)
    await place.browser.try_again("crm", OPS)
    await disable(place)

    again = await place.browser.try_again("crm", OPS)
    assert 429 == again.status
    assert "CALLER_LIMITED" in again.text
    assert 1 <= int(again.headers["Retry-After"]) <= 60
    done = [each for each in place.records() if "RetryRefused" == each.get("operation")]
    assert {("ops", "crm", "127.0.0.1")} == {
        (each["caller"], each["target"]["app"], each["peer"]) for each in done
    }
    assert [("operated", ""), ("refused", "CALLER_LIMITED")] == [
        (each["outcome"], each.get("reason", "")) for each in done
    ]


async def test_who_has_no_right_to_refresh_presses_in_vain(place: Place) -> None:
    await disable(place)

    for token, status in ((WATCHER, 403), (ORDERS, 403), ("", 401)):
        assert status == (await place.browser.try_again("crm", token)).status
        assert "APP_DISABLED" in (await place.browser.get("/", OPS)).text


async def test_no_other_site_presses_the_button(place: Place) -> None:
    await disable(place)

    for site, headers in SITES.items():
        answer = await place.browser.try_again("crm", OPS, headers)
        assert (403, "DENY") == (answer.status, answer.headers["X-Frame-Options"]), site
        assert "APP_DISABLED" in (await place.browser.get("/", OPS)).text


async def test_a_form_that_says_the_same_origin_is_taken(place: Place) -> None:
    assert 303 == (await place.browser.try_again("crm", OPS, {"Sec-Fetch-Site": "same-origin"})).status


async def test_the_button_is_pressed_by_post_alone(place: Place) -> None:
    assert 405 == (await place.browser.get("/retry?retry=crm", OPS)).status


async def test_callers_of_a_reload_are_taken_over(place: Place) -> None:
    policy, night = place.here.broker.policy, "of-the-night"
    digest = hashlib.sha256(night.encode()).hexdigest()
    rule = Rule(("*",), ("*",), frozenset({Action.ADMIN_READ}))
    assert 401 == (await place.browser.get("/", night)).status

    policy.replace([*policy.callers[1:], Caller("night", token_sha256=digest, rules=(rule,))])

    assert 200 == (await place.browser.get("/", night)).status
    assert 401 == (await place.browser.get("/", OPS)).status


async def test_the_language_is_the_link_s_or_the_browser_s(place: Place) -> None:
    for accepts, query, title in LANGUAGES:
        page = (await place.browser.get(f"/{query}", OPS, **{"Accept-Language": accepts})).text
        assert title in page, (accepts, query)


async def test_no_value_of_a_credential_is_on_the_page(place: Place) -> None:
    async with connect(place.here.address) as (replica,):
        value = (await replica.token()).value
        page = (await place.browser.get("/", OPS)).text

    assert "ww0parent" in page
    assert value not in page
    assert OPS not in page
    for each in CALLERS:
        assert each["token_sha256"] not in page


async def test_denials_are_problems_with_a_remedy(place: Place) -> None:
    await place.browser.get("/", ORDERS)

    async def shown() -> bool:
        return "CALLER_NOT_ALLOWED admin.read" in (await place.browser.get("/", OPS)).text

    await until(shown)


async def test_a_console_without_callers_is_for_this_machine_by_its_address(tmp_path: Path) -> None:
    """A name that leads here may be another site's (DNS rebinding)."""
    async with console(tmp_path) as place:
        port = place.here.broker.console_port
        for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}"):
            assert 200 == (await place.browser.get(Host=host)).status
        for host in (f"evil.example:{port}", "evil.example", "127.0.0.1.evil.example", ""):
            answer = await place.browser.get(Host=host)
            assert 403 == answer.status
            assert "crm" not in answer.text

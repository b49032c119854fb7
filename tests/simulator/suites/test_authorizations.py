"""get_auth_info, get_corp_token, and what a corp's token of a suite may do."""

import pytest

from broker.simulator import World
from broker.simulator import provider_demo as demo
from broker.simulator.crypto import page_signature
from broker.simulator.world.suites.provider import Provider
from broker.simulator.world.suites.suite import Suite
from tests.simulator.caller import AGENT_TICKET, CORP_TICKET, USER_GET, USER_INFO
from tests.simulator.suites.acme import AUTH_INFO, AUTH_INFO_V2, CHILD, CORP_TOKEN, PARENT, Acme

THREE = pytest.mark.parametrize("path", [AUTH_INFO, AUTH_INFO_V2, CORP_TOKEN])


@pytest.fixture(autouse=True)
def _installed(world: World) -> None:
    world.console.install("market", PARENT)
    world.console.install("tailored", PARENT)


async def test_only_the_old_path_tells_the_edition(acme: Acme) -> None:
    old, new = await acme.about(AUTH_INFO), await acme.about(AUTH_INFO_V2)
    (edition,) = old.pop("edition_info")["agent"]

    assert old == new
    assert (3, False) == (edition["app_status"], edition["is_shared_from_other_corp"])


async def test_a_share_tells_where_it_is_from(acme: Acme, world: World) -> None:
    world.console.install_by_share("market", PARENT, [CHILD])
    answer = await acme.about(AUTH_INFO, CHILD)
    (agent,) = answer["auth_info"]["agent"]

    assert {"corpid": world.suites.corpid("market", PARENT), "share_type": 0} == agent["shared_from"]
    assert answer["edition_info"]["agent"][0]["is_shared_from_other_corp"]


async def test_a_corp_token_is_granted_without_an_errcode(acme: Acme) -> None:
    assert ["access_token", "expires_in"] == list(await acme.about(CORP_TOKEN))


@THREE
@pytest.mark.parametrize(
    ("fields", "errcode"),
    [
        ({"auth_corpid": ""}, 84054),
        ({"permanent_code": ""}, 41025),
        ({"permanent_code": "wrong"}, 40084),
        ({"auth_corpid": "wpNobody"}, 2000002),
        ({"auth_corpid": PARENT}, 710000),
    ],
)
async def test_what_is_missing_or_wrong_is_named(
    acme: Acme, path: str, fields: dict[str, object], errcode: int
) -> None:
    assert errcode == (await acme.about(path, **fields))["errcode"]


@THREE
async def test_an_encrypted_corpid_has_case(acme: Acme, world: World, path: str) -> None:
    corpid = world.suites.corpid("market", PARENT).swapcase()

    assert 2000002 == (await acme.about(path, auth_corpid=corpid))["errcode"]


@THREE
async def test_a_corp_that_never_authorised_is_told_from_one_that_cancelled(
    acme: Acme, world: World, path: str
) -> None:
    world.console.install("tailored", CHILD)
    corpid = world.suites.corpid("market", CHILD)
    assert 40082 == (await acme.about(path, auth_corpid=corpid))["errcode"]

    world.console.cancel("market", PARENT)
    assert 40084 == (await acme.about(path))["errcode"]

    world.settings.cancelled_errcode = 48004
    assert 48004 == (await acme.about(path))["errcode"]


@THREE
async def test_another_suites_permanent_code_does_not_match(acme: Acme, world: World, path: str) -> None:
    code = world.suites.authorization("tailored", PARENT).permanent_code

    assert 48003 == (await acme.about(path, permanent_code=code))["errcode"]


@THREE
async def test_another_providers_corpid_and_code_are_refused(acme: Acme, world: World, path: str) -> None:
    world.suites.add_provider(Provider("ww0other", "secret", "other"))
    world.suites.add(Suite("ww0rival", "secret", "ww0other", name="rival"))
    corpid = world.console.install("rival", PARENT).corp_id
    code = world.suites.authorization("rival", PARENT).permanent_code

    assert 710000 == (await acme.about(path, auth_corpid=corpid))["errcode"]
    assert 40084 == (await acme.about(path, permanent_code=code))["errcode"]


@THREE
async def test_a_dissolved_corp_is_gone(acme: Acme, world: World, path: str) -> None:
    world.corps.get(PARENT).dissolved = True

    assert 301007 == (await acme.about(path))["errcode"]


async def test_a_customized_app_takes_gettoken_and_a_third_party_app_does_not(
    acme: Acme, world: World
) -> None:
    third_party = world.suites.authorization("market", PARENT).permanent_code

    assert 48002 == (await acme.about(CORP_TOKEN, suite="tailored"))["errcode"]
    assert 0 == (await acme.gettoken())["errcode"]
    assert 40001 == (await acme.gettoken(corpsecret=third_party))["errcode"]
    assert 40013 == (await acme.gettoken(corpid=PARENT))["errcode"]


async def test_a_cancelled_customized_app_has_no_secret(acme: Acme, world: World) -> None:
    token = await acme.corp_token("tailored")
    world.console.cancel("tailored", PARENT)

    assert 40001 == (await acme.gettoken())["errcode"]
    assert 40014 == (await acme.wecom.get("/cgi-bin/agent/list", access_token=token))["errcode"]


@pytest.mark.parametrize("suite", ["market", "tailored"])
async def test_tickets_are_fetched_with_the_corps_token_and_fit_the_page(
    acme: Acme, world: World, suite: str
) -> None:
    token = await acme.corp_token(suite)
    tickets = [
        await acme.wecom.get(CORP_TICKET, access_token=token),
        await acme.wecom.get(AGENT_TICKET, access_token=token, type="agent_config"),
    ]

    assert [0, 0] == [ticket["errcode"] for ticket in tickets]
    app = world.console.app(suite, PARENT)
    assert [ticket["ticket"] for ticket in tickets] == [
        world.tickets.latest("corp", app),
        world.tickets.latest("agent", app),
    ]


@pytest.mark.parametrize("suite", ["market", "tailored"])
async def test_the_page_checks_a_signature_for_the_corp_as_the_provider_knows_it(
    acme: Acme, world: World, suite: str
) -> None:
    token = await acme.corp_token(suite)
    ticket = (await acme.wecom.get(AGENT_TICKET, access_token=token, type="agent_config"))["ticket"]
    app, url = world.console.app(suite, PARENT), "https://app.example.com/page?a=1"
    fields = {
        "corp": world.suites.corpid(suite, PARENT),
        "agentid": str(app.agentid),
        "kind": "agent",
        "url": url,
        "timestamp": "1800000000",
        "nonceStr": "nonce",
        "signature": page_signature(ticket, "nonce", 1_800_000_000, url),
    }

    async with acme.wecom.session.get("/page", params=fields) as page:
        assert 'data-errcode="0"' in await page.text()


async def test_a_stopped_app_stays_that_of_its_suite(acme: Acme, world: World) -> None:
    app = world.console.app("tailored", PARENT)
    for enabled, errcode in (False, 50003), (True, 0):
        body = {"corpid": world.suites.corpid("tailored", PARENT), "agentid": app.agentid, "enabled": enabled}
        await acme.wecom.control("POST", "apps", body)
        assert errcode == (await acme.gettoken())["errcode"]


async def test_a_login_may_name_the_app_by_the_providers_id(acme: Acme, world: World) -> None:
    app = world.console.app("tailored", PARENT)
    body = {
        "corpid": PARENT,
        "userid": "zhangsan",
        "app_corpid": world.suites.corpid("tailored", PARENT),
        "app_agentid": app.agentid,
    }
    _, made = await acme.wecom.control("POST", "login_codes", body)
    token = await acme.corp_token("tailored")

    assert 0 == (await acme.wecom.get(USER_INFO, access_token=token, code=made["code"]))["errcode"]


@pytest.mark.parametrize("suite", ["market", "tailored"])
async def test_members_have_encrypted_ids(acme: Acme, world: World, suite: str) -> None:
    token, known = await acme.corp_token(suite), world.suites.provider("acme").userid(PARENT, "zhangsan")
    found = await acme.wecom.get(USER_GET, access_token=token, userid=known)

    assert known.startswith("wo")
    assert known == found["userid"]
    assert 60111 == (await acme.wecom.get(USER_GET, access_token=token, userid="zhangsan"))["errcode"]


async def test_a_third_party_token_redeems_no_login_code(acme: Acme, world: World) -> None:
    code = world.people.suite_login_code("tailored", PARENT, "zhangsan")

    assert (
        48002 == (await acme.wecom.get(USER_INFO, access_token=await acme.corp_token(), code=code))["errcode"]
    )


async def test_permissions_that_end_are_listed_with_their_end(acme: Acme, world: World) -> None:
    world.console.authorize_data("market", PARENT, "data_zone_chat")
    world.console.authorize_data("market", PARENT, "for_good", None)
    token = await acme.corp_token()
    answer = await acme.wecom.request("POST", "/cgi-bin/agent/get_permissions", access_token=token)

    assert {"data_zone_chat", "for_good"} < set(answer["app_permissions"])
    assert [{"permission_name": "data_zone_chat", "expire_time": 1_800_000_000 + 90 * 86400}] == answer[
        "app_permissions_ext"
    ]


@pytest.mark.parametrize(("by", "number"), [("market", 1), ("member", 0)])
async def test_admins_are_listed_but_not_after_a_members_install(
    acme: Acme, world: World, by: str, number: int
) -> None:
    world.console.install("market", CHILD, by)
    token = await acme.corp_token(corp=CHILD)
    answer = await acme.wecom.request("POST", "/cgi-bin/agent/get_admin_list", access_token=token)

    expected = [{"userid": world.suites.provider("acme").userid(CHILD, "lisi"), "auth_type": 1}]
    assert expected * number == answer["admin"]


@pytest.mark.parametrize("name", ["get_permissions", "get_admin_list"])
async def test_an_app_of_the_corps_own_has_no_such_list(acme: Acme, world: World, name: str) -> None:
    world.add_app(PARENT, 7, "own-secret")
    token = (await acme.wecom.gettoken(PARENT, "own-secret"))["access_token"]

    answer = await acme.wecom.request("POST", f"/cgi-bin/agent/{name}", access_token=token)
    assert 60214 == answer["errcode"]


async def test_a_plain_corpid_is_converted_for_who_authorised(acme: Acme, world: World) -> None:
    token = await acme.provider_token()
    answers = [
        await acme.wecom.post(
            "/cgi-bin/service/corpid_to_opencorpid", {"corpid": corpid}, provider_access_token=token
        )
        for corpid in (PARENT, CHILD, "ww0nobody")
    ]

    assert world.suites.corpid("market", PARENT) == answers[0]["open_corpid"]
    assert [0, 48001, 48001] == [answer["errcode"] for answer in answers]


async def test_qr_codes_are_handed_out(acme: Acme) -> None:
    path, body = "/cgi-bin/service/get_app_qrcode", {"suite_id": demo.MARKET, "state": "a1"}
    assert "state=a1" in (await acme.of_suite(path, body))["qrcode"]
    assert 48003 == (await acme.of_suite(path, {"suite_id": demo.TAILORED}))["errcode"]
    assert 84025 == (await acme.of_suite(path, {**body, "state": "x" * 33}))["errcode"]

    path, token = "/cgi-bin/service/get_customized_auth_url", await acme.provider_token()
    for templates, errcode in ([demo.TAILORED], 0), ([demo.MARKET], 40083), ([], 40058):
        body = {"state": "dk2026", "templateid_list": templates}
        assert errcode == (await acme.wecom.post(path, body, provider_access_token=token))["errcode"]

"""The exchange of an auth_code, in both versions: once, and only by its suite."""

import pytest

from broker.simulator import Truncated, World
from broker.simulator import provider_demo as demo
from broker.simulator.world.suites.provider import Provider
from broker.simulator.world.suites.suite import Suite
from tests.simulator.caller import FakeClock
from tests.simulator.suites.acme import CHILD, PARENT, PERMANENT_CODE, PERMANENT_CODE_V2, Acme

BOTH = pytest.mark.parametrize("path", [PERMANENT_CODE, PERMANENT_CODE_V2])


async def test_the_second_version_brings_no_token_and_no_app(acme: Acme, world: World) -> None:
    install = world.console.install("market", PARENT)
    answer = await acme.exchange(install.auth_code)

    assert ["errcode", "errmsg", "permanent_code", "auth_corp_info", "auth_user_info"] == list(answer)
    assert {"corpid": install.corp_id, "corp_name": "晨星集团"} == answer["auth_corp_info"]
    assert {"userid", "open_userid", "name", "avatar"} == set(answer["auth_user_info"])
    assert answer["permanent_code"] == world.suites.authorization("market", PARENT).permanent_code


async def test_the_old_version_brings_everything(acme: Acme, world: World) -> None:
    install = world.console.install("market", PARENT)
    answer = await acme.exchange(install.auth_code, path=PERMANENT_CODE)
    (agent,) = answer["auth_info"]["agent"]

    assert {"access_token", "expires_in", "permanent_code", "edition_info", "auth_user_info"} < set(answer)
    assert (0, False) == (agent["auth_mode"], agent["is_customized_app"])
    assert "shared_from" not in agent
    listed = await acme.wecom.get("/cgi-bin/agent/list", access_token=answer["access_token"])
    assert [agent["agentid"]] == [app["agentid"] for app in listed["agentlist"]]


async def test_a_customized_apps_exchange_never_brings_a_token(acme: Acme, world: World) -> None:
    install = world.console.install("tailored", PARENT)
    answer = await acme.exchange(install.auth_code, "tailored", PERMANENT_CODE)
    (agent,) = answer["auth_info"]["agent"]

    assert not {"access_token", "expires_in", "edition_info"} & set(answer)
    assert (True, 0) == (agent["is_customized_app"], agent["privilege"]["level"])
    assert 0 == (await acme.gettoken(corpsecret=answer["permanent_code"]))["errcode"]


@BOTH
async def test_a_code_is_spent_once_and_every_use_is_counted(acme: Acme, world: World, path: str) -> None:
    code = world.console.install("market", PARENT).auth_code

    assert [0, 40078] == [(await acme.exchange(code, path=path))["errcode"] for _ in range(2)]
    assert 2 == world.log.times_sent(code)
    assert code not in repr(list(world.log.records))


@BOTH
@pytest.mark.parametrize(
    ("auth_code", "errcode"),
    [("", 41008), ("x" * 63, 40058), ("x" * 64, 40078), ("x" * 513, 40058), (7, 40058)],
)
async def test_what_is_no_auth_code_is_refused(
    acme: Acme, path: str, auth_code: object, errcode: int
) -> None:
    assert errcode == (await acme.of_suite(path, {"auth_code": auth_code}))["errcode"]


async def test_an_auth_code_has_64_bytes_or_more(world: World) -> None:
    assert 64 <= len(world.console.install("market", PARENT).auth_code) <= 512


@BOTH
async def test_another_suite_cannot_spend_a_code_nor_use_it_up(acme: Acme, world: World, path: str) -> None:
    code = world.console.install("market", PARENT).auth_code

    assert 40078 == (await acme.exchange(code, "tailored", path))["errcode"]
    assert 0 == (await acme.exchange(code, path=path))["errcode"]


async def test_a_code_ends_after_ten_minutes(acme: Acme, world: World, clock: FakeClock) -> None:
    early, late = world.console.install("market", PARENT), world.console.install("market", CHILD)

    clock.now += 599.9
    assert 0 == (await acme.exchange(early.auth_code))["errcode"]
    clock.now += 0.1
    assert 40078 == (await acme.exchange(late.auth_code))["errcode"]


async def test_a_code_ends_with_its_authorisation(acme: Acme, world: World) -> None:
    code = world.console.install("market", PARENT).auth_code
    world.console.cancel("market", PARENT)

    assert 40078 == (await acme.exchange(code))["errcode"]


async def test_each_install_of_one_corp_has_a_code_but_there_is_one_authorisation(
    acme: Acme, world: World
) -> None:
    codes = [world.console.install("market", PARENT).auth_code for _ in range(2)]
    answers = [await acme.exchange(code) for code in codes]

    assert codes[0] != codes[1]
    assert answers[0]["permanent_code"] == answers[1]["permanent_code"]
    assert 1 == len(world.suites.authorizations(demo.MARKET))


async def test_a_share_tells_of_no_admin(acme: Acme, world: World) -> None:
    world.console.install("market", PARENT)
    (install,) = world.console.install_by_share("market", PARENT, [CHILD])

    assert ["errcode", "errmsg", "permanent_code", "auth_corp_info"] == list(
        await acme.exchange(install.auth_code)
    )


async def test_only_a_qr_codes_state_comes_back(acme: Acme, world: World) -> None:
    by_qr = world.console.install("market", PARENT, "qr", state="spring2026")
    by_market = world.console.install("market", CHILD)

    assert "spring2026" == (await acme.exchange(by_qr.auth_code))["state"]
    assert "state" not in await acme.exchange(by_market.auth_code)


async def test_a_suite_without_an_app_has_no_auth_info(acme: Acme, world: World) -> None:
    world.suites.get("market").has_agent = False
    code = world.console.install("market", PARENT).auth_code

    assert "auth_info" not in await acme.exchange(code, path=PERMANENT_CODE)


async def test_a_members_own_install_tells_little_of_the_corp(acme: Acme, world: World) -> None:
    code = world.console.install("market", PARENT, "member").auth_code
    answer = await acme.exchange(code, path=PERMANENT_CODE)

    assert 1 == answer["auth_info"]["agent"][0]["auth_mode"]
    assert "" == answer["auth_corp_info"]["corp_industry"]


async def test_one_provider_knows_a_corp_by_one_id_and_another_by_another(acme: Acme, world: World) -> None:
    world.suites.add_provider(Provider("ww0other", "secret", "other"))
    world.suites.add(Suite("ww0rival", "secret", "ww0other", name="rival"))
    ids = [world.console.install(suite, PARENT).corp_id for suite in ("market", "tailored", "rival")]

    assert ids[0] == ids[1] != ids[2]
    assert all(corpid.startswith("wp") and len(corpid) == 32 for corpid in ids)


async def test_an_old_provider_and_a_providers_own_corp_have_plain_ids(acme: Acme, world: World) -> None:
    world.add_corp(demo.PROVIDER, "acme")
    own = await acme.exchange(world.console.install("market", demo.PROVIDER, userid="boss").auth_code)
    assert (demo.PROVIDER, "boss") == (own["auth_corp_info"]["corpid"], own["auth_user_info"]["userid"])

    world.suites.provider("acme").encrypted_ids = False
    plain = await acme.exchange(world.console.install("market", PARENT).auth_code)
    assert (PARENT, "zhangsan") == (plain["auth_corp_info"]["corpid"], plain["auth_user_info"]["userid"])


async def test_a_code_whose_answer_is_lost_is_spent(acme: Acme, world: World) -> None:
    code = world.console.install("market", PARENT).auth_code
    token = await acme.suite_token()
    world.faults.add("v2/get_permanent_code", Truncated(), times=1)
    with pytest.raises(Exception, match="payload"):
        await acme.wecom.post(PERMANENT_CODE_V2, {"auth_code": code}, suite_access_token=token)

    assert 40078 == (await acme.exchange(code))["errcode"]

"""How corps authorise suites: what is asked of WeCom, and what is made of answers that lack much."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from broker.adapters.wecom.suites.authorizations import AuthorizationEndpoints
from broker.domain.corps import ShareKind
from broker.domain.errors import CodeRejected, InvalidRequest, ReauthorizationRequired, WecomProtocol
from broker.domain.ports.wecom import AuthorizationDetails, ExchangedCode
from broker.domain.secret import Secret
from broker.domain.suites.authorization import AuthMode, AuthorizedAgent, Edition, Permission, SharedFrom
from tests.unit.wecom_http.recorders import Surroundings, answering
from tests.unit.wecom_http.suites import APP, AUTH_CODE, CHILD, CORP, CORP_TOKEN, SUITE_TOKEN, Heard, recorded

EXCHANGE = "/cgi-bin/service/v2/get_permanent_code"
BY_SUITE = {"suite_access_token": SUITE_TOKEN.value.reveal()}
NAMED = {"auth_corpid": CORP, "permanent_code": APP.secret.reveal()}
INSTALLED = json.loads("""
{"errcode":0,"errmsg":"ok","permanent_code":"hT5xUo2nGqW8dJv0Rk7mPz4cYb1sLe6aFi9wQx3tNyE",
 "auth_corp_info":{"corpid":"wpGk7dBwAAx2JpQmT4uLrE9sVhYcNoZA","corp_name":"晨星集团"},
 "auth_user_info":{"userid":"woGk7dBwAAq1","open_userid":"woGk7dBwAAq1","name":"woGk7dBwAAq1","avatar":"https://a/0"},
 "state":"spring2026"}
""")
"""The sample of wecom-api B6."""
AUTHORIZED = json.loads("""
{"errcode":0,"errmsg":"ok",
 "auth_corp_info":{"corpid":"wpGk7dBwAAc8HtWn1yRvKfD0qXbSmUiQ","corp_name":"晨星华东","corp_type":"verified","corp_user_max":200},
 "auth_info":{"agent":[{"agentid":1000012,"name":"排班助手","auth_mode":0,"is_customized_app":false,"auth_from_thirdapp":false,
   "privilege":{"level":1,"allow_party":[2],"allow_user":["woGk7dBwAAq1"],"allow_tag":[],"extra_party":[]},
   "shared_from":{"corpid":"wpGk7dBwAAx2JpQmT4uLrE9sVhYcNoZA","share_type":0}}]}}
""")
EDITIONS = json.loads("""
{"errcode":0,"edition_info":{"agent":[{"agentid":1000012,"edition_id":"RLS9001","edition_name":"标准版","app_status":3,
 "user_limit":300,"expired_time":1795104000,"is_virtual_version":false,"is_shared_from_other_corp":true}]}}
""")
"""Those of wecom-api B7."""
ENDS = datetime(2026, 11, 19, 16, tzinfo=UTC)


def without(answer: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name not in names}


async def exchanged(around: Surroundings, answer: dict[str, Any]) -> ExchangedCode:
    async with answering(answer) as (url, _), around.wecom(url) as wecom:
        return await AuthorizationEndpoints(wecom.client).exchange_auth_code(SUITE_TOKEN, AUTH_CODE)


async def read(around: Surroundings, answer: dict[str, Any]) -> AuthorizationDetails:
    async with answering(answer) as (url, _), around.wecom(url) as wecom:
        return await AuthorizationEndpoints(wecom.client).read_authorization(SUITE_TOKEN, APP)


async def editions(around: Surroundings, answer: dict[str, Any]) -> dict[int, Edition]:
    async with answering(answer) as (url, _), around.wecom(url) as wecom:
        return await AuthorizationEndpoints(wecom.client).read_editions(SUITE_TOKEN, APP)


async def permissions(around: Surroundings, answer: dict[str, Any]) -> tuple[Permission, ...]:
    async with answering(answer) as (url, _), around.wecom(url) as wecom:
        return await AuthorizationEndpoints(wecom.client).read_permissions(CORP_TOKEN)


# --- the link


async def test_a_pre_auth_code_comes_with_its_lifetime(around: Surroundings) -> None:
    answer = {"errcode": 0, "pre_auth_code": "2vQm9pXc_LtB0", "expires_in": 1200}
    async with recorded(answer) as (url, heard), around.wecom(url) as wecom:
        grant = await AuthorizationEndpoints(wecom.client).fetch_pre_auth_code(SUITE_TOKEN)

    assert [Heard("GET", "/cgi-bin/service/get_pre_auth_code", BY_SUITE, None)] == heard
    assert (Secret("2vQm9pXc_LtB0"), timedelta(minutes=20)) == (grant.value, grant.lifetime)


@pytest.mark.parametrize(("test_install", "auth_type"), [(False, 0), (True, 1)])
async def test_a_session_is_formal_or_a_test(
    around: Surroundings, test_install: bool, auth_type: int
) -> None:
    async with recorded({"errcode": 0, "errmsg": "ok"}) as (url, heard), around.wecom(url) as wecom:
        endpoints = AuthorizationEndpoints(wecom.client)
        await endpoints.set_session_info(SUITE_TOKEN, Secret("the-pre-code"), test_install=test_install)

    body = {"pre_auth_code": "the-pre-code", "session_info": {"auth_type": auth_type}}
    assert [Heard("POST", "/cgi-bin/service/set_session_info", BY_SUITE, body)] == heard


# --- the exchange


async def test_an_auth_code_buys_the_permanent_code(around: Surroundings) -> None:
    async with recorded(INSTALLED) as (url, heard), around.wecom(url) as wecom:
        found = await AuthorizationEndpoints(wecom.client).exchange_auth_code(SUITE_TOKEN, AUTH_CODE)

    code = Secret("hT5xUo2nGqW8dJv0Rk7mPz4cYb1sLe6aFi9wQx3tNyE")
    assert [Heard("POST", EXCHANGE, BY_SUITE, {"auth_code": AUTH_CODE.reveal()})] == heard
    assert ExchangedCode(CORP, "晨星集团", code, "woGk7dBwAAq1", "spring2026") == found


ABSENT: list[dict[str, Any]] = [
    without(INSTALLED, "auth_user_info", "state", "errcode", "errmsg"),
    {**INSTALLED, "auth_user_info": None, "state": None},
    {**INSTALLED, "auth_user_info": {}, "state": ""},
    {**INSTALLED, "auth_user_info": [], "state": []},
    {**INSTALLED, "auth_user_info": {"userid": ""}, "state": ""},
    {**INSTALLED, "auth_user_info": {"userid": 7}, "state": 7},
    {**INSTALLED, "auth_user_info": {"userid": "wo\ufffd"}, "state": None},
]


@pytest.mark.parametrize("answer", ABSENT, ids=[str(answer.get("auth_user_info")) for answer in ABSENT])
async def test_who_installed_it_may_be_absent(around: Surroundings, answer: dict[str, Any]) -> None:
    found = await exchanged(around, answer)

    assert (CORP, "晨星集团", "", "") == (
        found.corp_id, found.corp_name, found.installer_user_id, found.install_state,
    )  # fmt: skip


@pytest.mark.parametrize("name", [None, "", 7, []], ids=str)
async def test_a_corp_may_have_no_name(around: Surroundings, name: object) -> None:
    corp = {"corpid": CORP, "corp_name": name}

    assert "" == (await exchanged(around, {**INSTALLED, "auth_corp_info": corp})).corp_name


UNUSABLE: list[dict[str, Any]] = [
    *(without(INSTALLED, name) for name in ("permanent_code", "auth_corp_info")),
    *({**INSTALLED, "permanent_code": code} for code in ("", None, 7, "half\ufffd")),
    *({**INSTALLED, "auth_corp_info": corp} for corp in (None, [], "wp1", {}, {"corp_name": "x"})),
    *(
        {**INSTALLED, "auth_corp_info": {"corpid": corp_id}}
        for corp_id in ("", None, 7, "wp 1", "wp/1", "wp\ufffd", "w" * 65, "wp1\n")
    ),
]


@pytest.mark.parametrize("answer", UNUSABLE, ids=str)
async def test_whose_permanent_code_it_is_is_never_guessed(
    around: Surroundings, answer: dict[str, Any]
) -> None:
    with pytest.raises(WecomProtocol) as refused:
        await exchanged(around, answer)

    assert {"endpoint": EXCHANGE} == refused.value.metadata
    assert not refused.value.code_unread


@pytest.mark.parametrize(
    ("errcode", "kind"),
    [(40078, CodeRejected), (40029, CodeRejected), (40058, InvalidRequest), (84024, CodeRejected)],
)
async def test_a_refused_code_is_named(around: Surroundings, errcode: int, kind: type[Exception]) -> None:
    with pytest.raises(kind) as refused:
        await exchanged(around, {"errcode": errcode, "errmsg": "no"})

    assert kind is CodeRejected or "auth_code" in str(refused.value)
    assert AUTH_CODE.reveal() not in str(vars(refused.value))


# --- the agents


async def test_an_authorisation_is_read_with_its_permanent_code(around: Surroundings) -> None:
    async with recorded(AUTHORIZED) as (url, heard), around.wecom(url) as wecom:
        found = await AuthorizationEndpoints(wecom.client).read_authorization(SUITE_TOKEN, APP)

    shared = SharedFrom(CORP, ShareKind.CORP_GROUP)
    agent = AuthorizedAgent(1000012, "排班助手", shared_from=shared)
    assert [Heard("POST", "/cgi-bin/service/v2/get_auth_info", BY_SUITE, NAMED)] == heard
    assert AuthorizationDetails("晨星华东", (agent,), AuthMode.ADMIN) == found


@pytest.mark.parametrize(
    "auth_info", [None, [], "", {}, {"agent": None}, {"agent": []}, {"agent": {}}], ids=str
)
async def test_an_authorisation_may_have_no_agent(around: Surroundings, auth_info: object) -> None:
    details = AuthorizationDetails("晨星华东", (), None)

    assert details == await read(around, {**AUTHORIZED, "auth_info": auth_info})
    assert details == await read(around, without(AUTHORIZED, "auth_info"))


async def test_an_answer_may_say_nothing_at_all(around: Surroundings) -> None:
    assert AuthorizationDetails("", (), None) == await read(around, {})


def with_agents(*agents: object) -> dict[str, Any]:
    return {**AUTHORIZED, "auth_info": {"agent": list(agents)}}


@pytest.mark.parametrize(
    "unreadable",
    [None, 7, "x", [], {}, {"name": "n"}, {"agentid": 0}, {"agentid": -1}, {"agentid": "x"},
     {"agentid": True}, {"agentid": 2**63}, {"agentid": [1]}],
    ids=str,
)  # fmt: skip
async def test_an_agent_that_cannot_be_read_costs_itself(around: Surroundings, unreadable: object) -> None:
    details = await read(around, with_agents(unreadable, {"agentid": 7, "auth_mode": 1}))

    assert ((AuthorizedAgent(7),), AuthMode.MEMBER) == (details.agents, details.auth_mode)
    with pytest.raises(WecomProtocol):
        await read(around, with_agents(unreadable))


@pytest.mark.parametrize(
    ("mode", "read_as"),
    [(0, AuthMode.ADMIN), (1, AuthMode.MEMBER), ("0", AuthMode.ADMIN), ("1", AuthMode.MEMBER)]
    + [(mode, None) for mode in (None, 2, "", "x", True, [])],
    ids=str,
)
async def test_who_authorised_is_told_by_a_number(
    around: Surroundings, mode: object, read_as: AuthMode | None
) -> None:
    assert read_as is (await read(around, with_agents({"agentid": "7", "auth_mode": mode}))).auth_mode


@pytest.mark.parametrize(
    ("shared_from", "read_as"),
    [
        ({"corpid": CORP, "share_type": 0}, SharedFrom(CORP, ShareKind.CORP_GROUP)),
        ({"corpid": CORP, "share_type": 1}, SharedFrom(CORP, ShareKind.SUPPLY_CHAIN)),
        ({"corpid": CORP, "share_type": "1"}, SharedFrom(CORP, ShareKind.SUPPLY_CHAIN)),
        ({"corpid": CHILD.lower(), "share_type": 0}, SharedFrom(CHILD.lower(), ShareKind.CORP_GROUP)),
        *((odd, None) for odd in (None, [], {}, {"corpid": CORP}, {"share_type": 0})),
        *(({"corpid": corp_id, "share_type": 0}, None) for corp_id in ("", 7, "wp 1", "wp\ufffd")),
        *(({"corpid": CORP, "share_type": share_type}, None) for share_type in (2, -1, None, "x", True)),
    ],
    ids=str,
)
async def test_the_parent_of_a_share_is_told_by_corp_and_kind_or_not_at_all(
    around: Surroundings, shared_from: object, read_as: SharedFrom | None
) -> None:
    details = await read(around, with_agents({"agentid": 7, "shared_from": shared_from}))

    assert (AuthorizedAgent(7, shared_from=read_as),) == details.agents


async def test_an_ended_authorisation_must_be_renewed(around: Surroundings) -> None:
    with pytest.raises(ReauthorizationRequired):
        await read(around, {"errcode": 40084, "errmsg": "invalid permanent_code"})


# --- editions and permissions


async def test_editions_are_read_where_the_old_path_tells_them(around: Surroundings) -> None:
    async with recorded(EDITIONS) as (url, heard), around.wecom(url) as wecom:
        found = await AuthorizationEndpoints(wecom.client).read_editions(SUITE_TOKEN, APP)

    assert [Heard("POST", "/cgi-bin/service/get_auth_info", BY_SUITE, NAMED)] == heard
    assert {1000012: Edition("RLS9001", "标准版", 3, 300, ENDS, shared_from_other_corp=True)} == found


@pytest.mark.parametrize(
    "info", [None, [], {}, {"agent": None}, {"agent": [None, {}, {"agentid": 0}]}], ids=str
)
async def test_an_app_that_is_free_has_no_edition(around: Surroundings, info: object) -> None:
    assert {} == await editions(around, {"edition_info": info}) == await editions(around, {})


async def test_an_edition_s_fields_may_be_odd_or_absent(around: Surroundings) -> None:
    odd = {"agentid": "7", "app_status": "3", "user_limit": "300", "expired_time": "1795104000",
           "is_shared_from_other_corp": "true"}  # fmt: skip
    wrong = {"agentid": 8, "edition_id": 5, "app_status": -1, "user_limit": 2**40, "expired_time": 10**17}
    found = await editions(around, {"edition_info": {"agent": [odd, wrong, {"agentid": 9}]}})

    nothing = Edition("", "", 0, 0, None, shared_from_other_corp=False)
    assert {7: Edition("", "", 3, 300, ENDS, shared_from_other_corp=True), 8: nothing, 9: nothing} == found


async def test_permissions_come_with_their_end(around: Surroundings) -> None:
    answer = {
        "errcode": 0,
        "app_permissions": ["contact:base:base", "data:chat", None, "", 7],
        "app_permissions_ext": [
            {"permission_name": "data:chat", "expire_time": 1795104000},
            {"permission_name": "data:file", "expire_time": "1795104000"},
            {"permission_name": "data:mail", "expire_time": 0},
            {"expire_time": 1795104000},
            None,
        ],
    }
    async with recorded(answer) as (url, heard), around.wecom(url) as wecom:
        found = await AuthorizationEndpoints(wecom.client).read_permissions(CORP_TOKEN)

    by_corp = {"access_token": CORP_TOKEN.value.reveal()}
    assert [Heard("POST", "/cgi-bin/agent/get_permissions", by_corp, {})] == heard
    assert (
        Permission("contact:base:base"),
        Permission("data:chat", ENDS),
        Permission("data:file", ENDS),
        Permission("data:mail"),
    ) == found


@pytest.mark.parametrize("listed", [None, [], {}, "x"], ids=str)
async def test_there_may_be_no_permissions(around: Surroundings, listed: object) -> None:
    answer = {"app_permissions": listed, "app_permissions_ext": listed}

    assert () == await permissions(around, answer) == await permissions(around, {})

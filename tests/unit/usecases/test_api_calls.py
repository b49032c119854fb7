"""What passes to WeCom in a corp's name, and what never does."""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from broker.domain.credentials import Credential
from broker.domain.errors import InvalidRequest, RateLimited, TokenRejected, WecomUnavailable
from broker.domain.ports.passthrough import ApiAnswer, ApiCall, MediaHead
from broker.domain.secret import Secret
from broker.protocol.api_paths import CODES, CREDENTIALS, OPEN_SERVICES
from broker.usecases.api_calls import LARGEST_BODY, ApiCalls, check_call
from tests.kit.memory.engine_world import CHILD_TARGET, EngineWorld, Replica, outcome
from tests.kit.memory.wecom import Endpoint, SimulatedWecom

GET_USER = ApiCall("GET", "/cgi-bin/user/get", (("userid", "lisi"),), b"")
SECOND = timedelta(seconds=1)
SEND = ApiCall("POST", "/cgi-bin/message/send", (), b"{}")

ISSUING = [
    "/cgi-bin/gettoken",
    "/cgi-bin/corpgroup/corp/gettoken",
    "/cgi-bin/get_jsapi_ticket",
    "/cgi-bin/ticket/get",
    "/cgi-bin/corpgroup/corp/gettoken/x",
    "/cgi-bin/service/get_suite_token",
    "/cgi-bin/service/get_corp_token",
    "/cgi-bin/service/get_provider_token",
    "/cgi-bin/service/get_permanent_code",
    "/cgi-bin/service/v2/get_permanent_code",
    "/cgi-bin/service/get_auth_info",
    "/cgi-bin/service/v2/get_auth_info",
    "/cgi-bin/service/get_pre_auth_code",
    "/cgi-bin/service/set_session_info",
    "/cgi-bin/service/get_register_code",
    "/cgi-bin/service/get_register_info",
    "/cgi-bin/service/get_login_info",
    "/cgi-bin/service/getuserinfo3rd",
    "/cgi-bin/service/getuserdetail3rd",
    "/cgi-bin/service/auth/getuserinfo3rd",
    "/cgi-bin/service/auth/getuserdetail3rd",
    "/cgi-bin/service/miniprogram/jscode2session",
    "/cgi-bin/service/finish_openid_migration",
    "/cgi-bin/service/externalcontact/finish_external_userid_migration",
    "/cgi-bin/service/media/upload",
    "/cgi-bin/service/what_comes_next_year",
    "/cgi-bin/service",
    "/cgi-bin/auth/get_tfa_info",
    "/cgi-bin/user/tfa_succ",
    "/cgi-bin/externalcontact/finish_external_userid_migration",
    "/cgi-bin/miniprogram/jscode2session",
    "/cgi-bin/miniprogram/transfer_session",
    "/cgi-bin/auth/getuserinfo",
    "/cgi-bin/auth/getuserdetail",
    "/cgi-bin/user/getuserinfo",
    "/cgi-bin/user/getuserdetail",
    "/cgi-bin/school/getuserinfo",
    "/cgi-bin/corp/apply_mass_call_ticket",
    "/cgi-bin/get_launch_code",
    "/cgi-bin/agent/claim_customized_app",
    "/cgi-bin/sync/contact_sync_success",
    "/cgi-bin/media/upload",
    "/cgi-bin/media/uploadimg",
    "/cgi-bin/media/upload_attachment",
    "/cgi-bin/media/get",
    "/cgi-bin/media/get/jssdk",
]


@pytest.mark.parametrize("path", [
    "/cgi-bin/user/get",
    "/cgi-bin/agent/get",
    "/cgi-bin/message/send",
    "/cgi-bin/department/simplelist",
    "/cgi-bin/externalcontact/get_follow_user_list",
    "/cgi-bin/media/upload_by_url",
    "/cgi-bin/corpgroup/corp/list_app_share_info",
    "/cgi-bin/getcallbackip",
    "/cgi-bin/user/list_id",
    "/cgi-bin/x",
    "/cgi-bin/agent/get_permissions",
    "/cgi-bin/agent/get_admin_list",
    "/cgi-bin/license/active_account",
    "/cgi-bin/corp/get_openid_migration",
    "/cgi-bin/externalcontact/get_new_external_userid",
    "/cgi-bin/idconvert/upgrade_chatid_for_new_corp",
    *sorted(OPEN_SERVICES),
])  # fmt: skip
def test_an_interface_that_gives_no_credential_passes(path: str) -> None:
    check_call(ApiCall("GET", path, (), b""))


@pytest.mark.parametrize("path", [
    *ISSUING,
    *(path.upper().replace("/CGI-BIN", "/cgi-bin") for path in sorted(OPEN_SERVICES)),
    *(f"{path}/x" for path in sorted(OPEN_SERVICES)),
    *(f"{path}_now" for path in sorted(OPEN_SERVICES)),
    *(path.upper().replace("/CGI-BIN", "/cgi-bin") for path in ISSUING),
    *(path.title().replace("/Cgi-Bin", "/cgi-bin") for path in ISSUING),
    *(f"{path}/" for path in ISSUING),
    *(path.replace("cgi-bin/", "cgi-bin//") for path in ISSUING),
    *(path.replace("get", "%67et") for path in ISSUING if "get" in path),
    *(path.replace("/cgi-bin/", "/cgi-bin/./") for path in ISSUING),
    *(path.replace("/cgi-bin/", "/cgi-bin/user/../") for path in ISSUING),
    *(f"{path};x" for path in ISSUING),
    *(f"{path}?x=1" for path in ISSUING),
    *(f"{path}#x" for path in ISSUING),
])  # fmt: skip
def test_what_hands_out_credentials_consumes_codes_or_streams_never_passes(path: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_call(ApiCall("GET", path, (), b""))

    assert "path" == caught.value.metadata["field"]


@pytest.mark.parametrize("path", [
    "",
    "/",
    "cgi-bin/user/get",
    "/cgi-bin",
    "/cgi-bin/",
    "/CGI-BIN/user/get",
    "/cgi-binuser/get",
    "//evil.example/cgi-bin/user/get",
    "https://evil.example/cgi-bin/user/get",
    "/cgi-bin/../_simulator/calls",
    "/cgi-bin/user/get\n",
    "/cgi-bin/user/get\r\nHost: evil.example",
    "/cgi-bin/user/get&access_token=x",
    "/cgi-bin/user/ＧＥＴ",
    "/cgi-bin/usér",
    "/cgi-bin/a@evil.example",
    "/cgi-bin/" + "x" * 300,
])  # fmt: skip
def test_what_is_no_path_under_cgi_bin_never_passes(path: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_call(ApiCall("GET", path, (), b""))

    assert "path" == caught.value.metadata["field"]


PIECES = (
    r"/ // cgi-bin /cgi-bin/ .. . %2e%2e %2F ? # & = ; @ : \ user get gettoken GetToken %67ettoken ticket"
    " service get_admin_list get_corp_token service/get_admin_list auth miniprogram https://evil.example ü"
)
pieces = st.sampled_from([*PIECES.split(), " ", "\n", "\x00"])
paths = st.one_of(
    st.lists(pieces, max_size=8).map("".join),
    st.lists(pieces, max_size=6).map(lambda found: "/cgi-bin/" + "".join(found)),
    st.text(max_size=60),
    st.text(max_size=60).map(lambda text: f"/cgi-bin/{text}"),
)


@given(paths)
@example("/cgi-bin/GETTOKEN")
@example("/cgi-bin/Service/x")
def test_a_path_that_passes_is_one_that_nobody_reads_in_another_way(path: str) -> None:
    try:
        check_call(ApiCall("GET", path, (), b""))
    except InvalidRequest:
        return
    segments = path.split("/")[2:]

    assert path.startswith("/cgi-bin/")
    assert path == unquote(path)
    assert path.isascii()
    assert all(re.fullmatch(r"\w+", segment, re.ASCII) for segment in segments)
    assert path in OPEN_SERVICES or segments[0].lower() not in {
        "gettoken",
        "get_jsapi_ticket",
        "ticket",
        "service",
        "auth",
        "miniprogram",
    }
    assert path.lower() not in ISSUING


names = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        [
            "access_token",
            "Access_Token",
            "access_token ",
            "access.token",
            "access token",
            "access%5ftoken",
            "access_token&x",
            "access_token[]",
        ]
    ),
)


@given(st.lists(st.tuples(names, st.text(max_size=50)), max_size=4))
def test_a_query_that_passes_carries_no_token_under_any_name(query: list[tuple[str, str]]) -> None:
    passes = True
    try:
        check_call(ApiCall("GET", "/cgi-bin/user/get", tuple(query), b""))
    except InvalidRequest:
        passes = False
    plain = all(re.fullmatch(r"\w{1,64}", name, re.ASCII) for name, _ in query)
    tokens = [name for name, _ in query if re.fullmatch(r"(\w+_)?access_token", name, re.IGNORECASE)]

    assert not passes or (plain and not tokens)


@pytest.mark.parametrize(("named", "call"), [
    ("query", ApiCall("GET", "/cgi-bin/user/get", (("x", "y" * 5000),), b"")),
    ("query", ApiCall("GET", "/cgi-bin/user/get", tuple((f"x{turn}", "y" * 500) for turn in range(10)), b"")),
    ("query", ApiCall("GET", "/cgi-bin/user/get", (("debug", "1"),), b"")),
    ("query", ApiCall("GET", "/cgi-bin/user/get", (("", "1"),), b"")),
    ("query", ApiCall("GET", "/cgi-bin/user/get", (("Code", "1"),), b"")),
    ("query", ApiCall("GET", "/cgi-bin/user/get", (("js_code", "1"),), b"")),
    *(
        ("query", ApiCall("GET", "/cgi-bin/user/get", (("x", "1"), (spelt, "1")), b""))
        for name in sorted(CREDENTIALS | CODES)
        for spelt in (name, name.upper(), name.title(), name.replace("_", "%5f"), name.replace("o", "%256f"))
    ),
    *(
        ("body", ApiCall("POST", "/cgi-bin/user/get", (), body.replace(b"NAME", spelt.encode())))
        for name in sorted(CREDENTIALS)
        for spelt in (name, name.upper(), f"\\u{ord(name[0]):04x}{name[1:]}")
        for body in (b'{"NAME":"x"}', b'{"a":1,"NAME":"","a":2}', b'{"NAME":null,"NAME":1}')
    ),
    ("body", ApiCall("POST", "/cgi-bin/user/get", (), b"userid=lisi")),
    ("body", ApiCall("POST", "/cgi-bin/user/get", (), b"<xml></xml>")),
    ("body", ApiCall("POST", "/cgi-bin/user/get", (), b'{"a":1}{"b":2}')),
    ("body", ApiCall("POST", "/cgi-bin/user/get", (), b'{"a":"\xb1\xb1"}')),
    ("body", ApiCall("POST", "/cgi-bin/user/get", (), b"[" * 100_000)),
    ("body", ApiCall("GET", "/cgi-bin/user/get", (), b"{}")),
    ("body", ApiCall("POST", "/cgi-bin/user/get", (), b"x" * (LARGEST_BODY + 1))),
])  # fmt: skip
def test_what_is_too_much_is_refused_by_field(named: str, call: ApiCall) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_call(call)

    assert named == caught.value.metadata["field"]


def test_the_largest_body_and_none_at_all_pass() -> None:
    check_call(ApiCall("POST", "/cgi-bin/user/get", (), b'"%s"' % (b"x" * (LARGEST_BODY - 2))))
    check_call(ApiCall("POST", "/cgi-bin/user/get", (), b""))


@dataclass
class FakeGateway:
    """WeCom behind the gateway: it refuses dead tokens, and fails as a test says."""

    is_alive: Callable[[Secret], bool]
    tokens: list[str] = field(default_factory=list)
    refuses: bool = False
    is_away: bool = False
    """Whether it does not answer a call with a living token."""

    async def call(self, token: Credential, call: ApiCall) -> ApiAnswer:
        """See `WecomGateway`."""
        return self._answer(token)

    async def upload(
        self, token: Credential, kind: str, head: MediaHead, chunks: AsyncIterator[bytes]
    ) -> tuple[ApiAnswer, str]:
        """See `WecomGateway`."""
        return self._answer(token), "media-1"

    async def download(self, token: Credential, media_id: str) -> AsyncGenerator[MediaHead | bytes, None]:
        """See `WecomGateway`."""
        answer = self._answer(token)
        if answer.errcode:
            raise TokenRejected("the token is dead", errcode=answer.errcode)
        yield MediaHead("a.txt", "text/plain", 2)
        yield b"ab"

    def _answer(self, token: Credential) -> ApiAnswer:
        self.tokens.append(token.value.reveal())
        if self.refuses or not self.is_alive(token.value):
            return ApiAnswer(40014, "invalid access_token", b'{"errcode":40014}')
        if self.is_away:
            raise WecomUnavailable("away", SECOND, endpoint=GET_USER.path)
        return ApiAnswer(0, "ok", b"{}")


@pytest.fixture
def gateway(wecom: SimulatedWecom) -> FakeGateway:
    return FakeGateway(wecom.is_alive)


@pytest.fixture
def calls(replica: Replica, gateway: FakeGateway) -> ApiCalls:
    return ApiCalls(replica.targets, replica.engine, gateway)


async def nothing() -> AsyncIterator[bytes]:
    yield b"content"


@pytest.fixture
async def dead(world: EngineWorld, wecom: SimulatedWecom, replica: Replica) -> None:
    wecom.kill((await world.run(replica.tokens.get(CHILD_TARGET))).value)


@pytest.mark.usefixtures("dead")
@pytest.mark.parametrize("call", [GET_USER, SEND])
async def test_a_call_that_finds_the_token_dead_is_sent_once_more_with_the_next(
    world: EngineWorld, gateway: FakeGateway, calls: ApiCalls, call: ApiCall
) -> None:
    answer = await world.run(calls.call(CHILD_TARGET, call))

    assert (0, 2, 2) == (answer.errcode, len(gateway.tokens), len(set(gateway.tokens)))


async def test_where_wecom_refuses_every_token_its_own_words_come_back(
    world: EngineWorld, wecom: SimulatedWecom, gateway: FakeGateway, calls: ApiCalls
) -> None:
    gateway.refuses = True
    answers = [await world.run(calls.call(CHILD_TARGET, GET_USER)) for _ in range(5)]

    assert {40014} == {answer.errcode for answer in answers}
    # One replacement a cooldown.
    assert wecom.count(Endpoint.CHILD_TOKEN) <= 2
    assert len(gateway.tokens) <= 2 * 5


@pytest.mark.usefixtures("dead")
async def test_an_outage_that_keeps_the_next_token_away_is_told_as_one(
    world: EngineWorld, wecom: SimulatedWecom, calls: ApiCalls
) -> None:
    away = WecomUnavailable("away", SECOND, endpoint=Endpoint.CHILD_TOKEN)
    wecom.fail(Endpoint.CHILD_TOKEN, lambda: away)
    told = []
    # The first one forces a fetch; while that cools down the others bring no new one.
    for _ in range(4):
        told.append(await world.run(outcome(calls.call(CHILD_TARGET, GET_USER))))
        await world.clock.advance(world.policy.cooldown / 3)
    wecom.recover()
    await world.clock.advance(world.policy.cooldown)

    for each in told:
        assert isinstance(each, WecomUnavailable)
        assert Endpoint.CHILD_TOKEN == each.metadata["endpoint"]
        assert each.retry_after
    assert 0 == (await world.run(calls.call(CHILD_TARGET, GET_USER))).errcode


@pytest.mark.usefixtures("dead")
async def test_an_outage_after_the_token_was_replaced_is_told_as_one(
    world: EngineWorld, gateway: FakeGateway, calls: ApiCalls
) -> None:
    gateway.is_away = True
    told = await world.run(outcome(calls.call(CHILD_TARGET, GET_USER)))

    assert isinstance(told, WecomUnavailable)
    assert ("away", 2) == (told.message, len(gateway.tokens))


@pytest.mark.usefixtures("dead")
async def test_an_upload_that_finds_the_token_dead_is_for_the_caller_to_repeat_and_works_then(
    world: EngineWorld, gateway: FakeGateway, calls: ApiCalls
) -> None:
    first = await world.run(outcome(calls.upload(CHILD_TARGET, "file", MediaHead("a", "b"), nothing())))
    second, media_id = await world.run(calls.upload(CHILD_TARGET, "file", MediaHead("a", "b"), nothing()))

    assert isinstance(first, WecomUnavailable)
    assert first.retry_after is not None
    assert (0, "media-1", 2) == (second.errcode, media_id, len(gateway.tokens))


async def _download(calls: ApiCalls) -> list[MediaHead | bytes]:
    return [piece async for piece in calls.download(CHILD_TARGET, "media-1")]


@pytest.mark.usefixtures("dead")
async def test_a_download_that_finds_the_token_dead_begins_once_more(
    world: EngineWorld, gateway: FakeGateway, calls: ApiCalls
) -> None:
    pieces = await world.run(_download(calls))

    assert [MediaHead("a.txt", "text/plain", 2), b"ab"] == pieces
    assert 2 == len(gateway.tokens)


async def test_a_download_that_no_token_opens_ends_after_two(
    world: EngineWorld, gateway: FakeGateway, calls: ApiCalls
) -> None:
    gateway.refuses = True
    refused = await world.run(outcome(_download(calls)))

    assert isinstance(refused, WecomUnavailable)
    assert not isinstance(refused, TokenRejected)
    assert 2 == len(gateway.tokens)


@pytest.mark.parametrize(
    ("named", "kind", "media_id"),
    [("type", "zip", "x"), ("media_id", "file", ""), ("media_id", "file", "a b")],
)
async def test_what_no_file_has_is_refused_before_a_token_is_fetched(
    world: EngineWorld, wecom: SimulatedWecom, calls: ApiCalls, named: str, kind: str, media_id: str
) -> None:
    async def both() -> None:
        if named == "type":
            await calls.upload(CHILD_TARGET, kind, MediaHead("a", "b"), nothing())
        async for _ in calls.download(CHILD_TARGET, media_id):
            pass

    refused = await outcome(both())

    assert isinstance(refused, InvalidRequest)
    assert (named, 0) == (refused.metadata["field"], wecom.count())


async def test_a_limit_that_closed_the_childs_token_is_told_as_it_is(
    world: EngineWorld, wecom: SimulatedWecom, calls: ApiCalls
) -> None:
    wecom.fail(Endpoint.CHILD_TOKEN, lambda: RateLimited("limit", errcode=45009))
    refused = await world.run(outcome(calls.call(CHILD_TARGET, GET_USER)))

    assert isinstance(refused, RateLimited)
    assert "45009" == refused.metadata["errcode"]

"""WeCom's JSON is read forgivingly: people write the names in it, and an odd one costs that name at most."""

import json

import pytest

from broker.adapters.wecom.addresses import AddressEndpoints
from broker.adapters.wecom.passthrough import Passthrough
from broker.adapters.wecom.upload import base_name
from broker.adapters.wecom.users import UserEndpoints
from broker.domain.corps import ShareKind
from broker.domain.errors import SecretRejected, WecomProtocol
from broker.domain.ports.passthrough import ApiCall, MediaHead
from broker.domain.secret import Secret
from tests.unit.wecom_http.recorders import Surroundings, answering, app, parent_with, speaking

ODD = {
    "a control character": (b"a\x14b", "a\x14b"),
    "a newline": (b"a\nb", "a\nb"),
    "NUL": (b"a\x00b", "a\x00b"),
    "GBK": ("北京".encode("gbk"), None),
    "GBK that ends in a backslash": ("誠".encode("gbk"), None),
    "GBK that ends in a brace": ("寋".encode("gbk"), None),
    "a cut sequence": (b"a\xe4\xb8", "a\ufffd"),
    "half an emoji, escaped": (rb"a\ud83d", "a\ufffd"),
    "half an emoji in bytes": (b"a\xed\xa0\xbd", "a\ufffd\ufffd\ufffd"),
    "a noncharacter": (b"a\xef\xbf\xbf", "a\uffff"),
    "an emoji, escaped": (rb"a\ud83d\ude00", "a😀"),
    "a stray backslash": (rb"A\B-C\x41", r"A\B-C\x41"),
    "an escape of JavaScript": (rb"it\'s", r"it\'s"),
    "a stray backslash after a character": ("企\\x".encode(), r"企\x"),
    "an escape cut short": (rb"a\u12", r"a\u12"),
    "Latin-1": (b"Caf\xe9", "Caf\ufffd"),
}
TEXTS = pytest.mark.parametrize(("text", "read"), ODD.values(), ids=ODD.keys())
CHILDREN = (
    b'{"errcode":0,"ending":1,"corp_list":[{"corpid":"ww1child","corp_name":"%s","agentid":7},'
    b'{"corpid":"ww2child","corp_name":"\xe5\x8c\x97","agentid":8}]}'
)


@TEXTS
async def test_an_odd_corp_name_costs_that_name_at_most(
    around: Surroundings, text: bytes, read: str | None
) -> None:
    async with answering(CHILDREN % text) as (url, _), around.wecom(url) as wecom:
        listed = await wecom.list_shares(parent_with("p"), ShareKind.CORP_GROUP)

    odd, other = listed.shares
    assert ("ww1child", 7, "ww2child", 8, 0) == (
        odd.corp_id, odd.agent_id, other.corp_id, other.agent_id, listed.unreadable,
    )  # fmt: skip
    assert read in (None, odd.corp_name)
    assert odd.corp_name.encode()


async def test_text_in_utf_8_is_not_taken_for_gbk(around: Surroundings) -> None:
    body = CHILDREN % "张\\三\ufffd".encode()
    async with answering(body) as (url, _), around.wecom(url) as wecom:
        listed = await wecom.list_shares(parent_with("p"), ShareKind.CORP_GROUP)

    assert ["张\\三\ufffd", "北"] == [share.corp_name for share in listed.shares]


@TEXTS
async def test_a_call_s_body_is_handed_on_as_it_came(
    around: Surroundings, text: bytes, read: str | None
) -> None:
    body = b'{"errcode":0,"errmsg":"ok","userlist":[{"name":"%s"}]}' % text
    async with answering(body) as (url, _), around.wecom(url) as wecom:
        call = ApiCall("GET", "/cgi-bin/user/list", (), b"")
        answer = await Passthrough(wecom.client).call(parent_with("the-token"), call)

    assert (0, "ok", body) == (answer.errcode, answer.errmsg, answer.body)


@TEXTS
async def test_a_profile_with_an_odd_address_comes(
    around: Surroundings, text: bytes, read: str | None
) -> None:
    async with (
        answering(b'{"errcode":0,"userid":"u","address":"%s","gender":"1"}' % text) as (url, _),
        around.wecom(url) as wecom,
    ):
        profile = await UserEndpoints(wecom.client).fetch_profile(parent_with("p"), Secret("ticket"))

    assert ("u", "1") == (profile["userid"], profile["gender"])
    assert read in (None, profile["address"])
    assert profile["address"].encode()


@TEXTS
async def test_an_odd_message_beside_an_errcode_hides_it_not(
    around: Surroundings, text: bytes, read: str | None
) -> None:
    async with answering(b'{"errcode":40001,"errmsg":"%s"}' % text) as (url, _), around.wecom(url) as wecom:
        with pytest.raises(SecretRejected):
            await wecom.fetch_app_token(app(corp_id="ww0"))


@pytest.mark.parametrize(
    "prefix", [b"", b"\xef\xbb\xbf", b"\r\n ", b"\0\n"], ids=["plain", "a BOM", "blanks", "NUL"]
)
async def test_what_stands_before_an_answer_does_no_harm(around: Surroundings, prefix: bytes) -> None:
    answer = b'{"errcode":0,"access_token":"the-token","expires_in":7200}'
    async with answering(prefix + answer) as (url, _), around.wecom(url) as wecom:
        assert Secret("the-token") == (await wecom.fetch_app_token(app(corp_id="ww0"))).value


@pytest.mark.parametrize("text", [rb"u\ud800", b"u\xff", "用户".encode("gbk")])
@pytest.mark.parametrize("name", [b"userid", b"session_key", b"corpid"])
async def test_who_somebody_is_is_never_mended(around: Surroundings, name: bytes, text: bytes) -> None:
    answer = b'{"errcode":0,"userid":"u","session_key":"k","corpid":"c"}'
    odd = answer.replace(b'"%s":"' % name, b'"%s":"%s' % (name, text))
    async with answering(odd) as (url, _), around.wecom(url) as wecom:
        with pytest.raises(WecomProtocol):
            await UserEndpoints(wecom.client).exchange_login_code(parent_with("p"), Secret("code"))


@pytest.mark.parametrize("text", [rb"u\ud800", b"u\xff", b"u\xed\xa0\x80"])
@pytest.mark.parametrize("name", [b"userid", b"external_userid", b"openid"])
async def test_whose_code_it_was_is_never_mended(around: Surroundings, name: bytes, text: bytes) -> None:
    async with answering(b'{"errcode":0,"%s":"%s"}' % (name, text)) as (url, _), around.wecom(url) as wecom:
        with pytest.raises(WecomProtocol):
            await UserEndpoints(wecom.client).exchange_auth_code(parent_with("p"), Secret("code"))


@pytest.mark.parametrize(
    "entry",
    [None, "ww1", 5, ["ww1", 1], {}, {"corpid": "ww1"}, {"agentid": 1}, {"corpid": "ww 1", "agentid": 1},
     {"corpid": "ww1", "agentid": 0}, {"corpid": "ww1", "agentid": "x"}, {"corpid": ["ww1"], "agentid": 1}],
    ids=str,
)  # fmt: skip
async def test_an_entry_that_cannot_be_read_costs_itself_and_is_counted(
    around: Surroundings, entry: object
) -> None:
    listed = [{"corpid": "ww2", "agentid": 8}, entry, {"corpid": "ww3", "agentid": 9}]
    async with answering({"ending": 1, "corp_list": listed}) as (url, _), around.wecom(url) as wecom:
        found = await wecom.list_shares(parent_with("p"), ShareKind.CORP_GROUP)

    assert (["ww2", "ww3"], 1) == ([share.corp_id for share in found.shares], found.unreadable)


async def test_a_cursor_that_did_not_come_whole_is_not_sent_back(around: Surroundings) -> None:
    page = b'{"ending":0,"corp_list":[{"corpid":"ww1","agentid":1}],"next_cursor":"a\xff"}'
    async with answering(page) as (url, asked), around.wecom(url) as wecom:
        with pytest.raises(WecomProtocol, match="next_cursor"):
            await wecom.list_shares(parent_with("p"), ShareKind.CORP_GROUP)

    assert 1 == len(asked)


@pytest.mark.parametrize("answer", [{}, {"ip_list": None}, {"ip_list": "1.2.3.4"}], ids=json.dumps)
async def test_an_answer_without_addresses_is_a_protocol_error(
    around: Surroundings, answer: dict[str, object]
) -> None:
    async with answering(answer) as (url, _), around.wecom(url) as wecom:
        with pytest.raises(WecomProtocol, match="ip_list"):
            await AddressEndpoints(wecom.client).fetch_callback_addresses(parent_with("p"))


@pytest.mark.parametrize(
    ("named", "name"),
    [
        (b'filename="a.txt"', "a.txt"),
        (b'filename="../../etc/passwd"', "passwd"),
        (rb'filename="C:\\Users\\a.txt"', "a.txt"),
        (b'filename=".."', ""),
        (b'filename="\xe6\x8a\xa5.txt"', "报.txt"),
        (b'filename="\xb1\xa8.txt"', "\ufffd\ufffd.txt"),
        (b"filename*=UTF-8''..%2F%E6%8A%A5.txt", "报.txt"),
        (b"filename*=GBK''%B1%A8.txt", "报.txt"),
    ],
)
async def test_a_file_has_a_name_that_a_message_takes_and_no_folder(
    around: Surroundings, named: bytes, name: str
) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Disposition: attachment; %s\r\n\r\nab"
    async with speaking(head % named) as (url, _), around.wecom(url) as wecom:
        pieces = [piece async for piece in Passthrough(wecom.client).download(parent_with("p"), "media-1")]

    assert b"ab" == pieces[1]
    assert isinstance(pieces[0], MediaHead)
    assert name == pieces[0].file_name


@pytest.mark.parametrize(("path", "name"), [
    ("a", "a"), ("/a/b", "b"), ("a/", ""), ("..", ""), (".", ""), ("a/..", ""), (".a", ".a"), ("a\\b", "b"),
])  # fmt: skip
def test_a_base_name_has_no_folder(path: str, name: str) -> None:
    assert name == base_name(path)

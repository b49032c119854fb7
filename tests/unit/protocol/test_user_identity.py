"""WeCom's answer about a login code, as a user."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.domain.errors import WecomProtocol
from broker.domain.people.users import User, UserKind
from broker.domain.secret import Secret
from broker.protocol.user_identity import read_user
from tests.vectors import Vector, cases

OWN = "ww0parent"
NAMES = st.text(st.characters(exclude_characters="\ufffd", exclude_categories=["Cs"]), min_size=1)
"""What cannot be read stands in WeCom's answer as U+FFFD, and names nobody."""
VALUES = st.none() | st.text() | st.integers() | st.lists(st.text())
KEYS = st.sampled_from(["userid", "UserId", "openid", "OpenId", "external_userid", "user_ticket"])


@pytest.mark.parametrize(**cases("corp_userid_parse"))
def test_a_published_userid_is_read_as_published(vector: Vector) -> None:
    expected = vector["expected"]
    user = read_user({"errcode": 0, "userid": vector["inputs"]["user_id"]}, OWN)

    assert (expected["corp_id"] or OWN, expected["userid"]) == (user.corp_id, user.user_id)


@pytest.mark.parametrize(
    ("answer", "user"),
    [
        ({"userid": "zhangsan"}, User(OWN, "zhangsan", UserKind.OWN_MEMBER)),
        ({"UserId": "zhangsan", "DeviceId": "d"}, User(OWN, "zhangsan", UserKind.OWN_MEMBER)),
        ({"userid": "ww1child/lisi"}, User("ww1child", "lisi", UserKind.CHILD_MEMBER)),
        ({"userid": "wpX-_1/wo/a"}, User("wpX-_1", "wo/a", UserKind.CHILD_MEMBER)),
        ({"userid": "ww0parent/zhangsan"}, User(OWN, "zhangsan", UserKind.OWN_MEMBER)),
        (
            {"userid": "z", "user_ticket": "t"},
            User(OWN, "z", UserKind.OWN_MEMBER, user_ticket=Secret("t")),
        ),
        (
            {"openid": "o1", "external_userid": "wm1"},
            User("", "", UserKind.EXTERNAL_CONTACT, "wm1", "o1"),
        ),
        ({"external_userid": "wm1"}, User("", "", UserKind.EXTERNAL_CONTACT, "wm1")),
        ({"openid": "o1"}, User("", "", UserKind.NON_MEMBER, open_id="o1")),
        ({"OpenId": "o1", "userid": "", "UserId": None}, User("", "", UserKind.NON_MEMBER, open_id="o1")),
    ],
)
def test_every_kind_of_user_is_told_apart(answer: dict[str, object], user: User) -> None:
    assert user == read_user({"errcode": 0, "errmsg": "ok", **answer}, OWN)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"userid": ""},
        {"userid": None, "openid": ""},
        {"userid": 7},
        {"userid": ["a"]},
        {"userid": "/lisi"},
        {"userid": "ww1/"},
        {"userid": "ww 1/lisi"},
        {"userid": "/"},
        {"openid": 7},
        {"userid": "a", "user_ticket": 7},
    ],
)
def test_an_answer_without_a_user_cannot_be_understood(answer: dict[str, object]) -> None:
    with pytest.raises(WecomProtocol) as refused:
        read_user(answer, OWN)

    assert "/cgi-bin/auth/getuserinfo" == refused.value.metadata["endpoint"]


@given(st.dictionaries(KEYS, VALUES))
def test_any_answer_is_a_user_or_cannot_be_understood(answer: dict[str, object]) -> None:
    try:
        user = read_user(answer, OWN)
    except WecomProtocol:
        return
    assert (
        bool(user.user_id)
        == bool(user.corp_id)
        == (user.kind in (UserKind.OWN_MEMBER, UserKind.CHILD_MEMBER))
    )
    assert user.user_id or user.external_user_id or user.open_id


@given(st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True), NAMES)
def test_a_name_is_split_at_its_first_slash(corp_id: str, user_id: str) -> None:
    user = read_user({"userid": f"{corp_id}/{user_id}"}, OWN)

    assert (corp_id, user_id) == (user.corp_id, user.user_id)


@given(NAMES.filter(lambda name: "/" not in name))
def test_a_name_without_a_slash_is_the_own_corp_s(name: str) -> None:
    assert User(OWN, name, UserKind.OWN_MEMBER) == read_user({"userid": name}, OWN)

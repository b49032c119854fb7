"""Who is behind a login code: WeCom's answer as a user (访问用户身份, wecom-api A7, B10; doc 91023)."""

from collections.abc import Mapping

from broker.domain.corps import CORP_ID
from broker.domain.errors import WecomProtocol
from broker.domain.people.users import User, UserKind
from broker.domain.secret import Secret
from broker.protocol.wecom_json import is_whole

ENDPOINT = "/cgi-bin/auth/getuserinfo"
SUITE_ENDPOINT = "/cgi-bin/service/auth/getuserinfo3rd"


def read_user(answer: Mapping[str, object], own_corp_id: str) -> User:
    """Return the user of a successful answer to the app of that corp. Raises `WecomProtocol`."""
    # The older user/getuserinfo writes the names with capitals.
    name = _text(answer, ENDPOINT, "userid", "UserId")
    if not name:
        return _visitor(answer, ENDPOINT)
    corp_id, user_id = _split(name, own_corp_id)
    kind = UserKind.OWN_MEMBER if corp_id == own_corp_id else UserKind.CHILD_MEMBER
    return _member(answer, ENDPOINT, corp_id, user_id, kind)


def read_suite_user(answer: Mapping[str, object]) -> User:
    """Return the user of a successful answer to a suite, which names the corp. Raises `WecomProtocol`."""
    # The older service/getuserinfo3rd writes the names with capitals.
    user_id = _text(answer, SUITE_ENDPOINT, "userid", "UserId")
    if not user_id:
        return _visitor(answer, SUITE_ENDPOINT)
    corp_id = _text(answer, SUITE_ENDPOINT, "corpid", "CorpId")
    if not CORP_ID.fullmatch(corp_id):
        raise WecomProtocol("WeCom's answer has a userid, but no usable corpid", endpoint=SUITE_ENDPOINT)
    return _member(answer, SUITE_ENDPOINT, corp_id, user_id, UserKind.OWN_MEMBER)


def _member(answer: Mapping[str, object], endpoint: str, corp_id: str, user_id: str, kind: UserKind) -> User:
    return User(corp_id, user_id, kind, *_other_ids(answer, endpoint))


def _visitor(answer: Mapping[str, object], endpoint: str) -> User:
    external_user_id, open_id, ticket = _other_ids(answer, endpoint)
    if not external_user_id and not open_id:
        raise WecomProtocol("WeCom's answer names no user", endpoint=endpoint)
    kind = UserKind.EXTERNAL_CONTACT if external_user_id else UserKind.NON_MEMBER
    return User("", "", kind, external_user_id, open_id, ticket)


def _other_ids(answer: Mapping[str, object], endpoint: str) -> tuple[str, str, Secret | None]:
    """Return the external user id, the open id and the user_ticket."""
    ticket = _text(answer, endpoint, "user_ticket")
    return (
        _text(answer, endpoint, "external_userid"),
        _text(answer, endpoint, "openid", "OpenId"),
        Secret(ticket) if ticket else None,
    )


def _split(name: str, own_corp_id: str) -> tuple[str, str]:
    """Return corp and user id of "CorpId/userid", or of an own member's plain "userid" (wecom-api G16)."""
    if "/" not in name:
        return own_corp_id, name
    corp_id, _, user_id = name.partition("/")
    if CORP_ID.fullmatch(corp_id) is None or not user_id:
        raise WecomProtocol("WeCom's answer has a userid that is not CorpId/userid", endpoint=ENDPOINT)
    return corp_id, user_id


def _text(answer: Mapping[str, object], endpoint: str, *spellings: str) -> str:
    """Return the first of them that is there and not null; "" if there is none."""
    for spelling in spellings:
        value = answer.get(spelling)
        if value is None or value == "":
            continue
        if not isinstance(value, str) or not is_whole(value):
            raise WecomProtocol(f"WeCom's answer has a {spelling} that is no plain text", endpoint=endpoint)
        return value
    return ""

"""Who is behind a login code: WeCom's answer as a user (访问用户身份, wecom-api A7; doc 91023)."""

from collections.abc import Mapping

from broker.domain.corps import CORP_ID
from broker.domain.errors import WecomProtocol
from broker.domain.secret import Secret
from broker.domain.users import User, UserKind
from broker.protocol.wecom_json import is_whole

ENDPOINT = "/cgi-bin/auth/getuserinfo"


def read_user(answer: Mapping[str, object], own_corp_id: str) -> User:
    """Return the user of a successful answer to the app of that corp. Raises `WecomProtocol`."""
    # The older user/getuserinfo writes the names with capitals.
    name = _text(answer, "userid", "UserId")
    external_user_id = _text(answer, "external_userid")
    open_id = _text(answer, "openid", "OpenId")
    ticket = _text(answer, "user_ticket")
    corp_id, user_id = _split(name, own_corp_id) if name else ("", "")
    if name:
        kind = UserKind.OWN_MEMBER if corp_id == own_corp_id else UserKind.CHILD_MEMBER
    elif external_user_id:
        kind = UserKind.EXTERNAL_CONTACT
    elif open_id:
        kind = UserKind.NON_MEMBER
    else:
        raise WecomProtocol("WeCom's answer names no user", endpoint=ENDPOINT)
    return User(corp_id, user_id, kind, external_user_id, open_id, Secret(ticket) if ticket else None)


def _split(name: str, own_corp_id: str) -> tuple[str, str]:
    """Return corp and user id of "CorpId/userid", or of an own member's plain "userid" (wecom-api G16)."""
    if "/" not in name:
        return own_corp_id, name
    corp_id, _, user_id = name.partition("/")
    if CORP_ID.fullmatch(corp_id) is None or not user_id:
        raise WecomProtocol("WeCom's answer has a userid that is not CorpId/userid", endpoint=ENDPOINT)
    return corp_id, user_id


def _text(answer: Mapping[str, object], *spellings: str) -> str:
    """Return the first of them that is there and not null; "" if there is none."""
    for spelling in spellings:
        value = answer.get(spelling)
        if value is None or value == "":
            continue
        if not isinstance(value, str) or not is_whole(value):
            raise WecomProtocol(f"WeCom's answer has a {spelling} that is no plain text", endpoint=ENDPOINT)
        return value
    return ""

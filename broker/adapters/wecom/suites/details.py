"""What WeCom says about an authorisation, as values: a part that is absent or cannot be read is left out."""

from collections.abc import Mapping
from datetime import UTC, datetime

from broker.adapters.wecom.call import Answer
from broker.domain.corps import CORP_ID, ShareKind
from broker.domain.ports.wecom import AuthorizationDetails
from broker.domain.suites.authorization import AuthMode, AuthorizedAgent, Edition, Permission, SharedFrom
from broker.protocol.wecom_json import as_list, as_number, as_object, as_text

Fields = Mapping[str, object]

SHARE_TYPES = {0: ShareKind.CORP_GROUP, 1: ShareKind.SUPPLY_CHAIN}
"""wecom-api B6: the values of shared_from.share_type."""
AUTH_MODES = {0: AuthMode.ADMIN, 1: AuthMode.MEMBER}
LARGEST_ID = 2**63
LARGEST_COUNT = 2**31


def details_of(answer: Answer) -> AuthorizationDetails:
    """Return the agents of an answer. Raises `WecomProtocol` if none of those it lists can be read."""
    entries = as_list(as_object(answer.fields.get("auth_info")).get("agent"))
    readable = [(agent_id, entry) for entry in map(as_object, entries) if (agent_id := _agent_id(entry))]
    if entries and not readable:
        raise answer.unreadable("has agents of which none can be read")
    modes = [AUTH_MODES.get(as_number(entry.get("auth_mode"), -1)) for _, entry in readable]
    return AuthorizationDetails(
        as_text(as_object(answer.fields.get("auth_corp_info")).get("corp_name")),
        tuple(_agent(agent_id, entry) for agent_id, entry in readable),
        next((mode for mode in modes if mode), None),
    )


def editions_of(answer: Answer) -> dict[int, Edition]:
    """Return what the corp paid for, by agent id; nothing for an app that is free (wecom-api B7)."""
    entries = map(as_object, as_list(as_object(answer.fields.get("edition_info")).get("agent")))
    return {agent_id: _edition(entry) for entry in entries if (agent_id := _agent_id(entry))}


def permissions_of(answer: Answer) -> tuple[Permission, ...]:
    """Return the permissions, those that end with their end."""
    names = as_list(answer.fields.get("app_permissions"))
    found = {name: Permission(name) for name in map(as_text, names) if name}
    for entry in map(as_object, as_list(answer.fields.get("app_permissions_ext"))):
        if name := as_text(entry.get("permission_name")):
            found[name] = Permission(name, _moment(entry.get("expire_time")))
    return tuple(found.values())


def _agent(agent_id: int, entry: Fields) -> AuthorizedAgent:
    return AuthorizedAgent(
        agent_id, as_text(entry.get("name")), shared_from=_shared_from(as_object(entry.get("shared_from")))
    )


def _agent_id(entry: Fields) -> int | None:
    agent_id = as_number(entry.get("agentid"), 0)
    return agent_id if 0 < agent_id < LARGEST_ID else None


def _shared_from(entry: Fields) -> SharedFrom | None:
    corp_id = as_text(entry.get("corpid"))
    kind = SHARE_TYPES.get(as_number(entry.get("share_type"), -1))
    return SharedFrom(corp_id, kind) if kind and CORP_ID.fullmatch(corp_id) else None


def _edition(entry: Fields) -> Edition:
    return Edition(
        edition_id=as_text(entry.get("edition_id")),
        edition_name=as_text(entry.get("edition_name")),
        app_status=_count(entry.get("app_status")),
        user_limit=_count(entry.get("user_limit")),
        expires_at=_moment(entry.get("expired_time")),
        shared_from_other_corp=entry.get("is_shared_from_other_corp") in (True, 1, "1", "true"),
    )


def _count(value: object) -> int:
    """Return a number that fits wherever it goes; 0 if there is none."""
    count = as_number(value, 0)
    return count if 0 <= count < LARGEST_COUNT else 0


def _moment(value: object) -> datetime | None:
    """Return the moment of a Unix time; None for 0, which means never, and for what is none."""
    seconds = as_number(value, 0)
    try:
        return datetime.fromtimestamp(seconds, UTC) if seconds > 0 else None
    except (ValueError, OverflowError, OSError):
        return None

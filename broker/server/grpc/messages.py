"""Convert messages to domain values, and back. Malformed fields are refused here, by name."""

import base64
import binascii
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from wecom_broker.v1 import app_share_service_pb2 as share_pb
from wecom_broker.v1 import target_pb2 as target_pb
from wecom_broker.v1 import token_service_pb2 as token_pb

from broker.domain.apps import APP_NAME, App, Target
from broker.domain.corps import CORP_ID, ShareKind
from broker.domain.credentials import NO_TIME, Credential
from broker.domain.errors import InvalidRequest
from broker.domain.shares import AppShare
from broker.usecases.credentials.reports import ReportOutcome
from broker.usecases.shares.targets import Targets

DEFAULT_PAGE, LARGEST_PAGE = 100, 1000
LARGEST_LIST = 1024 * 1024
"""Bytes of a list in one message: clients take messages of 4 MiB by default."""

SHARE_KINDS: dict[int, ShareKind | None] = {
    target_pb.SHARE_KIND_UNSPECIFIED: None,
    target_pb.SHARE_KIND_CORP_GROUP: ShareKind.CORP_GROUP,
    target_pb.SHARE_KIND_SUPPLY_CHAIN: ShareKind.SUPPLY_CHAIN,
}
SHARE_KINDS_OUT = {
    ShareKind.OWN: target_pb.SHARE_KIND_UNSPECIFIED,
    ShareKind.CORP_GROUP: target_pb.SHARE_KIND_CORP_GROUP,
    ShareKind.SUPPLY_CHAIN: target_pb.SHARE_KIND_SUPPLY_CHAIN,
}
OUTCOMES = {
    ReportOutcome.ROTATED: token_pb.REPORT_OUTCOME_ROTATED,
    ReportOutcome.ALREADY_ROTATED: token_pb.REPORT_OUTCOME_ALREADY_ROTATED,
    ReportOutcome.UNCHANGED: token_pb.REPORT_OUTCOME_UNCHANGED,
    ReportOutcome.COOLING_DOWN: token_pb.REPORT_OUTCOME_COOLING_DOWN,
}
Item = TypeVar("Item")
Listed = TypeVar("Listed", bound=Message)


def app_name(field: str, name: str) -> str:
    """Return the name of an app. Raises `InvalidRequest`."""
    if not name:
        raise InvalidRequest(field, "is required")
    if not APP_NAME.fullmatch(name):
        raise InvalidRequest(field, "is not an app's name")
    return name


def corp_id(field: str, given: str) -> str:
    """Return a corp id; empty = the app's own corp. Raises `InvalidRequest`."""
    if given and not CORP_ID.fullmatch(given):
        raise InvalidRequest(field, "is not a corp id")
    return given


def share_kind(field: str, kind: int) -> ShareKind | None:
    """Return the kind; None for any. Raises `InvalidRequest`."""
    try:
        return SHARE_KINDS[kind]
    except KeyError:
        raise InvalidRequest(field, "is not a known kind of share") from None


def agent_id(field: str, given: int) -> int:
    """Return an agent id; 0 = whichever there is. Raises `InvalidRequest`."""
    if given < 0:
        raise InvalidRequest(field, "must not be negative")
    return given


def target(message: target_pb.Target) -> Target:
    """Return the app and corp that the request acts for. Raises `InvalidRequest`."""
    corp = corp_id("target.corp_id", message.corp_id)
    agent = agent_id("target.agent_id", message.agent_id)
    kind = share_kind("target.share_kind", message.share_kind)
    return Target(app_name("target.app", message.app), corp, kind, agent)


def min_ttl(message: Duration) -> timedelta:
    """Return the least remaining life that a caller needs. Raises `InvalidRequest`."""
    # Checked before the conversion, which rounds a nanosecond away.
    if message.seconds < 0 or message.nanos < 0:
        raise InvalidRequest("min_ttl", "must not be negative")
    try:
        return message.ToTimedelta()
    except (ValueError, OverflowError):
        raise InvalidRequest("min_ttl", "is not a duration") from None


def ttl(credential: Credential, now: datetime) -> timedelta:
    """Return how long the credential lives from now."""
    return max(credential.expires_at - now, NO_TIME)


def access_token(credential: Credential) -> token_pb.AccessToken:
    """Return the message of an access token."""
    return token_pb.AccessToken(
        value=credential.value.reveal(),
        expire_time=credential.expires_at,
        corp_id=credential.key.corp_id,
        agent_id=credential.key.agent_id,
        generation=credential.generation,
    )


def value_of(credential: Credential) -> bytes:
    """Return the value as it stands in a message."""
    return credential.value.reveal().encode()


def app_share(app: App, share: AppShare) -> share_pb.AppShare:
    """Return the message of a share by the app in its parent corp."""
    return share_pb.AppShare(
        app=app.name,
        parent_corp_id=app.corp_id,
        corp_id=share.corp_id,
        corp_name=share.corp_name,
        agent_id=share.agent_id,
        share_kind=SHARE_KINDS_OUT[share.share_kind],
    )


def page(
    items: Sequence[Item],
    mark: Callable[[Item], str],
    message_of: Callable[[Item], Listed],
    page_size: int,
    page_token: str,
) -> tuple[list[Listed], str]:
    """Return the messages of a page, and the next page's token. Raises `InvalidRequest`.

    The items are sorted by their marks. A page ends early where its message would grow too large. The token
    holds the last mark: items added or removed meanwhile neither repeat nor hide others.
    """
    size = page_size_of(page_size)
    after = read_token(page_token)
    start = bisect_right(items, after, key=mark) if after else 0
    shown = fitting(map(message_of, items[start : start + size]))
    end = start + len(shown)
    return shown, token(mark(items[end - 1])) if end < len(items) else ""


def fitting(found: Iterable[Listed]) -> list[Listed]:
    """Return the first messages, as many as fit a list, at least one if there is any."""
    return next(chunks(found), [])


def chunks(found: Iterable[Listed]) -> Iterator[list[Listed]]:
    """Yield all messages, in lists of limited size; nothing for no messages."""
    chunk: list[Listed] = []
    size = 0
    for message in found:
        if chunk and size + message.ByteSize() > LARGEST_LIST:
            yield chunk
            chunk, size = [], 0
        chunk.append(message)
        size += message.ByteSize()
    if chunk:
        yield chunk


def page_size_of(given: int) -> int:
    """Return how many items a page has. Raises `InvalidRequest`."""
    if given < 0:
        raise InvalidRequest("page_size", "must not be negative")
    return min(given or DEFAULT_PAGE, LARGEST_PAGE)


def token(mark: str) -> str:
    """Return the page_token of a mark; empty = there is no further page."""
    return base64.urlsafe_b64encode(mark.encode()).decode()


def read_token(token: str) -> str:
    """Return the mark of a page_token. Raises `InvalidRequest`."""
    try:
        return base64.b64decode(token.encode("ascii"), b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError, ValueError):
        raise InvalidRequest("page_token", "is not one that the broker gave") from None


def known_app(targets: Targets, name: str) -> App:
    """Return the app of a request. Raises `InvalidRequest`, `UnknownApp`."""
    return targets.app(app_name("app", name))

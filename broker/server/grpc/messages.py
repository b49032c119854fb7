"""Convert messages to domain values, and back. Malformed fields are refused here, by name."""

import base64
import binascii
from bisect import bisect_right
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from google.protobuf.duration_pb2 import Duration
from wecom_broker.v1 import admin_service_pb2 as admin_pb
from wecom_broker.v1 import app_share_service_pb2 as share_pb
from wecom_broker.v1 import target_pb2 as target_pb
from wecom_broker.v1 import token_service_pb2 as token_pb

from broker.domain.apps import APP_NAME, App, Target
from broker.domain.corps import CORP_ID, ShareKind
from broker.domain.credentials import NO_TIME, Credential, CredentialKind, Freshness
from broker.domain.errors import InvalidRequest
from broker.domain.replica_health import Dependency
from broker.domain.shares import AppShare
from broker.usecases.admin import CredentialView
from broker.usecases.credentials.reports import ReportOutcome
from broker.usecases.limits.rate_gate import QuotaUse
from broker.usecases.shares.targets import Targets

DEFAULT_PAGE, LARGEST_PAGE = 100, 1000

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
STATES = {
    Freshness.FRESH: admin_pb.CREDENTIAL_STATE_FRESH,
    Freshness.AGEING: admin_pb.CREDENTIAL_STATE_AGEING,
    Freshness.NEARLY_GONE: admin_pb.CREDENTIAL_STATE_NEARLY_GONE,
    Freshness.EXPIRED: admin_pb.CREDENTIAL_STATE_EXPIRED,
}
KINDS = {
    CredentialKind.ACCESS_TOKEN: admin_pb.CREDENTIAL_KIND_ACCESS_TOKEN,
    CredentialKind.CORP_TICKET: admin_pb.CREDENTIAL_KIND_CORP_TICKET,
    CredentialKind.AGENT_TICKET: admin_pb.CREDENTIAL_KIND_AGENT_TICKET,
    CredentialKind.SUITE_TOKEN: admin_pb.CREDENTIAL_KIND_SUITE_TOKEN,
    CredentialKind.PROVIDER_TOKEN: admin_pb.CREDENTIAL_KIND_PROVIDER_TOKEN,
}
KINDS_IN: dict[int, CredentialKind] = {
    admin_pb.CREDENTIAL_KIND_UNSPECIFIED: CredentialKind.ACCESS_TOKEN,
    **{message: kind for kind, message in KINDS.items()},
}

Item = TypeVar("Item")


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


def target(message: target_pb.Target) -> Target:
    """Return the app and corp that the request acts for. Raises `InvalidRequest`."""
    corp, agent_id = corp_id("target.corp_id", message.corp_id), message.agent_id
    if agent_id < 0:
        raise InvalidRequest("target.agent_id", "must not be negative")
    kind = share_kind("target.share_kind", message.share_kind)
    return Target(app_name("target.app", message.app), corp, kind, agent_id)


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


def app(found: App) -> admin_pb.App:
    """Return the message of a configured app."""
    return admin_pb.App(
        name=found.name,
        kind=found.kind,
        corp_id=found.corp_id,
        agent_id=found.agent_id,
        share_kinds=[SHARE_KINDS_OUT[kind] for kind in found.share_kinds],
    )


def credential_info(view: CredentialView) -> admin_pb.CredentialInfo:
    """Return the message of a credential, without its value."""
    error = view.last_error
    return admin_pb.CredentialInfo(
        app=view.key.app,
        corp_id=view.key.corp_id,
        agent_id=view.key.agent_id,
        share_kind=SHARE_KINDS_OUT[view.key.share_kind],
        kind=KINDS[view.key.kind],
        state=STATES[view.state],
        generation=view.generation,
        age=view.age,
        expire_time=view.expires_at,
        last_error=f"{error.reason}: {error.message}" if error else "",
        last_error_time=view.last_error_at,
        watcher_count=view.watchers,
    )


def quota(use: QuotaUse) -> admin_pb.Quota:
    """Return the message of one limit."""
    return admin_pb.Quota(
        endpoint=use.endpoint,
        corp_id=use.corp_id,
        window=use.limit.window,
        used_count=use.used,
        limit_count=use.limit.most,
        closed_until_time=use.closed_until,
        agent_id=use.agent_id,
    )


def dependency(found: Dependency) -> admin_pb.Dependency:
    """Return the message of a dependency."""
    return admin_pb.Dependency(
        name=found.name, healthy=found.healthy, since_time=found.since, last_error=found.last_error
    )


def page(
    items: Sequence[Item], mark: Callable[[Item], str], page_size: int, page_token: str
) -> tuple[Sequence[Item], str]:
    """Return a page of items sorted by their marks, and the next page's token. Raises `InvalidRequest`.

    The token holds the last mark: items added or removed meanwhile neither repeat nor hide others.
    """
    size = page_size_of(page_size)
    after = read_token(page_token)
    start = bisect_right(items, after, key=mark) if after else 0
    shown = items[start : start + size]
    has_more = len(items) > start + size
    return shown, token(mark(shown[-1])) if has_more else ""


def page_size_of(given: int) -> int:
    """Return how many items a page has. Raises `InvalidRequest`."""
    if given < 0:
        raise InvalidRequest("page_size", "must not be negative")
    return min(given or DEFAULT_PAGE, LARGEST_PAGE)


def token(mark: str) -> str:
    """Return the page_token of a mark."""
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

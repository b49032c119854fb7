"""How suite_tickets, authorisations and auth_codes are written into records, and read again.

All of them are durable: WeCom tells a code once, and the next ticket only after ten minutes.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo

from broker.adapters.storage.codec import Codec
from broker.adapters.storage.payload import (
    AppsPayload,
    Fence,
    Moment,
    Number,
    Payload,
    RecordDamaged,
    SecretText,
)
from broker.domain.corps import ShareKind
from broker.domain.ports.store import Record
from broker.domain.secret import Secret
from broker.domain.suites.authorization import (
    CANCELLED_KEPT,
    AuthMode,
    Authorization,
    AuthorizationKey,
    AuthorizationState,
    AuthorizedAgent,
    Edition,
    Permission,
    SharedFrom,
)
from broker.domain.suites.installation import Installation, InstallationKey, InstallationState
from broker.domain.suites.ticket import SuiteTicket

TICKET_KEPT = timedelta(days=1)
"""An older push must lose for as long as WeCom may repeat it."""
FOR_EVER = datetime(9999, 1, 1, tzinfo=UTC)
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
ENDED = {AuthorizationState.CANCELLED, InstallationState.DONE, InstallationState.LOST}
"""The states in which no secret is kept."""


def _only_while_open(secret: Secret | None, read: ValidationInfo) -> Secret | None:
    """Return the secret, which is there until the state ends it. The state is a field before it."""
    state = read.data.get("state")
    fits = secret is None if state in ENDED else bool(secret)
    if state and not fits:
        raise ValueError("does not fit the state")
    return secret


def _within_reach(moment: datetime) -> datetime:
    """Return the moment, or the nearest that is read again: an odd date must not cost a permanent code."""
    return min(max(moment, EARLIEST), LATEST)


Ending = Annotated[Moment, AfterValidator(_within_reach)]
"""When something ends, as WeCom says."""
SecretWhileOpen = Annotated[SecretText | None, AfterValidator(_only_while_open)]


class _TicketPayload(AppsPayload):
    value: SecretText
    pushed_at: Moment


def _encode_ticket(ticket: SuiteTicket) -> Record:
    payload = _TicketPayload.model_validate(ticket, from_attributes=True)
    name = SuiteTicket.name_of(ticket.suite)
    return Record(name, ticket.fence, payload.to_bytes(), ticket.pushed_at + TICKET_KEPT, durable=True)


def _decode_ticket(suite: str, record: Record) -> SuiteTicket:
    ticket = SuiteTicket(suite, **_TicketPayload.fields_of_record(record))
    if ticket.fence != record.fence:
        raise RecordDamaged(record.name, "pushed_at: is not the fencing number")
    return ticket


class _EditionPayload(Payload):
    edition_id: str
    edition_name: str
    app_status: Number
    user_limit: Number
    expires_at: Ending | None
    shared_from_other_corp: bool


class _SharePayload(Payload):
    corp_id: str
    share_kind: ShareKind


class _AgentPayload(Payload):
    agent_id: Number
    name: str
    edition: _EditionPayload | None
    shared_from: _SharePayload | None
    permissions: tuple[tuple[str, Ending | None], ...]
    """Pairs, because an authorisation may have a hundred."""


class _AuthorizationPayload(AppsPayload):
    state: AuthorizationState
    permanent_code: SecretWhileOpen
    code_hash: str
    installed_at: Moment
    updated_at: Moment
    corp_name: str
    agents: tuple[_AgentPayload, ...]
    auth_mode: AuthMode | None
    installer_user_id: str
    install_state: str
    problem: str
    shares: bool
    is_stale: bool = False
    """Older brokers write neither this nor what follows."""
    cancelled_at: Moment | None = None
    code_fence: Fence = 0
    are_children_stale: bool = False


def _encode_authorization(authorization: Authorization) -> Record:
    fields = {name: getattr(authorization, name) for name in _AuthorizationPayload.model_fields}
    payload = _AuthorizationPayload(**{**fields, "agents": tuple(map(_agent_payload, authorization.agents))})
    cancelled = authorization.state is AuthorizationState.CANCELLED
    return Record(
        Authorization.name_of(authorization.key),
        authorization.fence,
        payload.to_bytes(),
        authorization.updated_at + CANCELLED_KEPT if cancelled else FOR_EVER,
        durable=True,
    )


def _agent_payload(agent: AuthorizedAgent) -> _AgentPayload:
    edition, shared = agent.edition, agent.shared_from
    return _AgentPayload(
        agent_id=agent.agent_id,
        name=agent.name,
        edition=_EditionPayload.model_validate(edition, from_attributes=True) if edition else None,
        shared_from=_SharePayload.model_validate(shared, from_attributes=True) if shared else None,
        permissions=tuple((permission.name, permission.expires_at) for permission in agent.permissions),
    )


def _decode_authorization(key: AuthorizationKey, record: Record) -> Authorization:
    fields = _AuthorizationPayload.fields_of_record(record)
    agents = tuple(map(_agent, fields.pop("agents")))
    return Authorization(*key, record.fence, agents=agents, **fields)


def _agent(read: _AgentPayload) -> AuthorizedAgent:
    permissions = tuple(_permission(*pair) for pair in read.permissions)
    edition = Edition(**dict(read.edition)) if read.edition else None
    shared_from = SharedFrom(**dict(read.shared_from)) if read.shared_from else None
    return AuthorizedAgent(read.agent_id, read.name, edition, shared_from, permissions)


@lru_cache(maxsize=4096)
def _permission(name: str, expires_at: datetime | None) -> Permission:
    """Return the one value for all corps: thousands of them allow the same interfaces."""
    return Permission(name, expires_at)


class _InstallationPayload(AppsPayload):
    state: InstallationState
    auth_code: SecretWhileOpen
    is_reset: bool
    install_state: str
    taken_at: Moment
    sent_at: Moment | None
    corp_id: str
    problem: str


class _CallersInstallationPayload(_InstallationPayload):
    is_callers: bool = False


class _SettledInstallationPayload(_CallersInstallationPayload):
    is_settled: bool = False


def _encode_installation(installation: Installation) -> Record:
    # Brokers of earlier versions read only what they know.
    kind = _CallersInstallationPayload if installation.is_callers else _InstallationPayload
    kind = _SettledInstallationPayload if installation.is_settled else kind
    payload = kind.model_validate(installation, from_attributes=True)
    name = Installation.name_of(installation.key)
    return Record(name, installation.fence, payload.to_bytes(), installation.kept_until, durable=True)


def _decode_installation(key: InstallationKey, record: Record) -> Installation:
    fields = _SettledInstallationPayload.fields_of_record(record)
    return Installation(*key, record.fence, **fields)


def _suite_of(value: SuiteTicket | Authorization | Installation) -> tuple[str, str]:
    return value.suite, value.identity


SUITE_TICKETS = Codec(SuiteTicket.name_of, _encode_ticket, _decode_ticket, app_of=_suite_of)
AUTHORIZATIONS = Codec(Authorization.name_of, _encode_authorization, _decode_authorization, app_of=_suite_of)
INSTALLATIONS = Codec(Installation.name_of, _encode_installation, _decode_installation, app_of=_suite_of)

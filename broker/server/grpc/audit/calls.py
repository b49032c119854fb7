"""What the guard has audited of each call: refusals, and operators' actions."""

from collections.abc import Callable
from typing import Any

from broker.domain.apps import APP_NAME
from broker.domain.audit import AuditTarget
from broker.domain.corps import CORP_ID
from broker.domain.errors import AccessRefused, BrokerError, CallerLimited, CallerNotAllowed
from broker.server.grpc.audit.records import Audit
from broker.server.grpc.context import Context
from broker.server.grpc.entry.authorizer import named_in
from broker.server.grpc.entry.identity import current_caller
from broker.server.grpc.entry.rights import Requirement

Ended = Callable[[Context, Any, BrokerError | str], None]
"""Take a call's context, its request (None if it was not read), and its error or how else it ended."""


class CallAudit:
    """Audit calls by method."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    def of(self, method: str, required: Requirement) -> Ended:
        """Return what is to be called when a call of the method has failed, or an operator's has ended."""
        operation = method.rpartition("/")[2]

        def ended(context: Context, request: Any, error: BrokerError | str) -> None:
            if isinstance(error, AccessRefused | CallerLimited):
                target = _refused_target(request, error)
                action = error.metadata.get("action", required.action)
                self._audit.refused(context, _caller(), action, operation, target, error)
            elif required.operates:
                reason = error.reason if isinstance(error, BrokerError) else error
                self._audit.operated(context, required.action, operation, _target(request), reason)

        return ended


def _caller() -> str:
    """Return who calls; empty if that was not proved."""
    proved = current_caller.get(None)
    return proved.name if proved else ""


def _target(request: Any) -> AuditTarget:
    """Return what a request names, as far as it is well formed."""
    app, corp_id = named_in(request)
    return AuditTarget(
        app if APP_NAME.fullmatch(app) else "",
        corp_id if CORP_ID.fullmatch(corp_id) else "",
    )


def _refused_target(request: Any, error: BrokerError) -> AuditTarget:
    """Return what was refused: by the policy's words, which know what a handler found out."""
    if isinstance(error, CallerNotAllowed) and "app" in error.metadata:
        found = error.metadata
        return AuditTarget(found["app"], found.get("corp_id", ""), path=found.get("path", ""))
    return _target(request)

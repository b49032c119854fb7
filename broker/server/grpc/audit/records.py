"""What calls leave in the audit trail: who got, was refused, reported or did what."""

import asyncio
import re
from collections import defaultdict
from collections.abc import Awaitable
from typing import Any
from urllib.parse import unquote

from broker.domain.access import Action
from broker.domain.audit import AuditOutcome, AuditRecord, AuditTarget
from broker.domain.credentials import Credential
from broker.domain.errors import AccessRefused, BrokerError, CallerMistake
from broker.domain.people.sessions import Session
from broker.domain.people.users import User
from broker.domain.ports.clock import Clock, Randomness
from broker.domain.secret import Secret
from broker.server.grpc.context import Context
from broker.server.grpc.entry.identity import current_caller
from broker.usecases.audit.journal import AuditJournal
from broker.usecases.credentials.reports import ReportOutcome

MAX_REMEMBERED = 100_000
"""How many hand-outs are remembered; then all are forgotten, and the next ones recorded once more."""
FORCED = {ReportOutcome.ROTATED.name, ReportOutcome.UNCHANGED.name}
"""The outcomes of reports for which WeCom was asked."""
NO_REPORT = (CallerMistake, AccessRefused)
"""What is refused before the report is looked at."""
REQUEST_ID = "x-request-id"
PRINTABLE = re.compile(r"[\x21-\x7e]{1,128}")


class Audit:
    """Write one record for each credential handed out to a caller; a repeat adds none."""

    def __init__(self, journal: AuditJournal, clock: Clock, randomness: Randomness) -> None:
        self._journal = journal
        self._clock = clock
        self._randomness = randomness
        self._recorded: defaultdict[str, dict[str, int]] = defaultdict(dict)
        """By caller and name, the generation that it has got."""
        self._remembered = 0

    def __call__(self, context: Context, action: Action, credential: Credential) -> None:
        """Record that this caller gets this credential, unless it got this generation before."""
        if self._is_new(credential.key.name, credential.generation):
            target = AuditTarget.of(credential.key)
            self._handed_out(context, action, target, credential.value, credential.generation)

    def session_key(self, context: Context, session: Session) -> None:
        """Record that a session's key was handed out, once for each caller and session."""
        if self._is_new(Session.name_of(session.session_id), 0):
            self._handed_out(
                context,
                Action.MINIPROGRAM_SESSION_KEY,
                AuditTarget(session.app, session.corp_id, "session_key", user_id=session.user_id),
                session.session_key,
            )

    def user_ticket(self, context: Context, app: str, user: User) -> None:
        """Record that the caller gets a user's ticket, if it does: it can be exchanged for the profile."""
        if user.user_ticket:
            target = AuditTarget(app, user.corp_id, "user_ticket", user_id=user.user_id)
            self._handed_out(context, Action.IDENTITY_EXCHANGE, target, user.user_ticket)

    def refused(
        self,
        context: Context,
        caller: str,
        action: str,
        operation: str,
        target: AuditTarget,
        error: BrokerError,
    ) -> None:
        """Record that a caller has no right, no identity (then its name is empty), or asks too often."""
        made = self._record(
            context,
            AuditOutcome.REFUSED,
            caller=caller,
            action=action,
            operation=operation,
            target=target,
            reason=error.reason,
        )
        self._journal.write_summed(made)

    async def reporting(
        self,
        context: Context,
        action: Action,
        operation: str,
        reported: AuditTarget,
        generation: int,
        report: Awaitable[tuple[ReportOutcome, Credential]],
    ) -> tuple[ReportOutcome, Credential]:
        """Return what the report returns, and record it. Raises what the report raises.

        Reports that made WeCom give something are recorded one by one, the others summed.
        """
        reason, target = "", reported
        try:
            outcome, credential = await report
            reason, target = outcome.name, AuditTarget.of(credential.key)
        except BrokerError as error:
            reason = "" if isinstance(error, NO_REPORT) else error.reason
            raise
        except asyncio.CancelledError:
            reason = "CANCELLED"
            raise
        finally:
            if reason:
                made = self._record(
                    context,
                    AuditOutcome.REPORTED,
                    action=action,
                    operation=operation,
                    target=target,
                    generation=generation,
                    reason=reason,
                )
                write = self._journal.write if reason in FORCED else self._journal.write_summed
                write(made)
        return outcome, credential

    def operated(
        self, context: Context, action: str, operation: str, target: AuditTarget, reason: str = ""
    ) -> None:
        """Record what an operator did; the reason says why it failed, if it did.

        Repeats of what callers may do without end are summed; administrators' actions are not.
        """
        made = self._record(
            context,
            AuditOutcome.OPERATED,
            action=action,
            operation=operation,
            target=target,
            reason=reason,
        )
        write = self._journal.write if action == Action.ADMIN_REFRESH else self._journal.write_summed
        write(made)

    def _is_new(self, name: str, generation: int) -> bool:
        recorded = self._recorded[current_caller.get().name]
        if recorded.get(name) == generation:
            return False
        if name not in recorded:
            if self._remembered >= MAX_REMEMBERED:
                self._recorded.clear()
                self._remembered = 0
                recorded = self._recorded[current_caller.get().name]
            self._remembered += 1
        recorded[name] = generation
        return True

    def _handed_out(
        self, context: Context, action: Action, target: AuditTarget, value: Secret, generation: int = 0
    ) -> None:
        made = self._record(
            context,
            AuditOutcome.HANDED_OUT,
            action=action,
            target=target,
            generation=generation,
            fingerprint=value.fingerprint(),
        )
        self._journal.write(made)

    def _record(self, context: Context, outcome: AuditOutcome, **known: Any) -> AuditRecord:  # noqa: ANN401 - its fields
        known.setdefault("caller", current_caller.get().name)
        return AuditRecord(
            self._clock.now(),
            outcome,
            peer=address_of(context.peer()),
            request_id=_request_id(context) or self._randomness.unguessable(),
            **known,
        )


def address_of(peer: str) -> str:
    """Return the address in gRPC's words for a peer: `ipv4:192.0.2.7:50000` is 192.0.2.7."""
    kind, _, rest = unquote(peer).partition(":")
    if kind not in {"ipv4", "ipv6"}:
        return kind
    return rest.rpartition(":")[0].strip("[]")


def _request_id(context: Context) -> str:
    """Return the id that the caller gave the request, if it can be shown in a line."""
    for name, value in context.invocation_metadata() or ():
        if name == REQUEST_ID and isinstance(value, str) and PRINTABLE.fullmatch(value):
            return value
    return ""

"""The audit log: who got which credential."""

from broker.domain.access import Action
from broker.domain.credentials import Credential
from broker.domain.secret import Secret
from broker.domain.sessions import Session
from broker.server.grpc.access import current_caller
from broker.telemetry.observer import Telemetry

REMEMBERED = 100_000


class Audit:
    """Write one record for each credential handed out to a caller; a repeat adds none."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._recorded: dict[tuple[str, str, int], None] = {}

    def __call__(self, action: Action, credential: Credential) -> None:
        """Record it, unless this caller got this generation before."""
        self._record(action, credential.key.name, credential.generation, credential.value)

    def session_key(self, session: Session) -> None:
        """Record that a session's key was handed out, once for each caller and session."""
        mark = Secret(session.session_id).fingerprint()
        name = f"session_key:{session.app}:{session.corp_id}:{session.user_id}:{mark}"
        self._record(Action.MINIPROGRAM_SESSION_KEY, name, 0, session.session_key)

    def _record(self, action: Action, name: str, generation: int, value: Secret) -> None:
        caller = current_caller.get().name
        handed = (caller, name, generation)
        if handed in self._recorded:
            return
        if len(self._recorded) >= REMEMBERED:
            self._recorded.clear()
        self._recorded[handed] = None
        self._telemetry.handed_out(caller, action, name, generation, value.fingerprint())

"""Who got which credential."""

from broker.domain.callers import Action
from broker.domain.credentials import Credential
from broker.server.identity import current_caller
from broker.telemetry import Telemetry

REMEMBERED = 100_000


class Audit:
    """Write one record for each credential handed out to a caller; the same one again adds nothing."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._told: dict[tuple[str, str, int], None] = {}

    def __call__(self, action: Action, credential: Credential) -> None:
        """Write it down, unless this caller got this generation before."""
        caller = current_caller.get().name
        handed = (caller, credential.key.name, credential.generation)
        if handed in self._told:
            return
        if len(self._told) >= REMEMBERED:
            self._told.clear()
        self._told[handed] = None
        self._telemetry.handed_out(
            caller, action, credential.key.name, credential.generation, credential.value.mark()
        )

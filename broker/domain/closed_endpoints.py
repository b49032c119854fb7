"""Endpoints of WeCom that a limit has closed for a while, and for whom."""

from typing import NamedTuple

from broker.domain.apps import APP_NAME

WORD = "limit"


class ClosedEndpoint(NamedTuple):
    """What a limit closes: an endpoint for a corp or a suite, or for one app alone (wecom-api E)."""

    endpoint: str
    subject: str
    """The corp; where a suite's own token is sent, the suite."""
    app: str = ""
    """Whose own call met the limit; empty = it is closed whichever app calls it."""

    @classmethod
    def read(cls, name: str) -> "ClosedEndpoint | None":
        """Return what that name says; None if it is no closed endpoint's."""
        word, _, rest = name.partition(":")
        rest, _, subject = rest.rpartition(":")
        if word != WORD or not rest:
            return None
        # Only a path that a caller chose may have a colon, and there the app follows it.
        endpoint, _, app = rest.rpartition(":")
        return cls(endpoint, subject, app) if endpoint and APP_NAME.fullmatch(app) else cls(rest, subject)

    @property
    def name(self) -> str:
        """Return its name in stores and notices."""
        app = f"{self.app}:" if self.app else ""
        return f"{WORD}:{self.endpoint}:{app}{self.subject}"

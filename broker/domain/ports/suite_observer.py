"""What is reported to operators about suites."""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol


class SuiteObserver(Protocol):
    """Logs and counts what operators want to see of suites, and never gets a secret."""

    def ticket_pushed(self, suite: str, *, is_newest: bool) -> None:
        """WeCom pushed a suite_ticket; one that is not the newest changes nothing."""

    def ticket_looked_at(self, suite: str, expires_at: datetime | None, problem: str) -> None:
        """The suite's ticket was looked at; the problem is "" while there is none."""

    def authorization_changed(self, suite: str, corp_id: str, state: str, problem: str) -> None:
        """A corp's authorisation became known, or is in another state than before."""

    def authorizations_counted(
        self, suite: str, counts: Mapping[str, int], next_permission_end: datetime | None
    ) -> None:
        """A suite's authorisations were counted by state; the first of all permissions ends then."""

    def exchange_ended(self, suite: str, outcome: str) -> None:
        """An exchange of an auth_code ended here: done, lost, or taken if WeCom did not read it."""

    def suite_ended(self, suite: str) -> None:
        """The suite is not configured any more: it lacks nothing."""

    def code_lost(self, suite: str, problem: str) -> None:
        """An auth_code was spent without an authorisation: an administrator must act."""

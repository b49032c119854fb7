"""What operators see of a suite: its authorisations, and the codes that have not become one."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Self

from broker.domain.suites.authorization import AuthMode, Authorization, AuthorizationState, AuthorizedAgent
from broker.domain.suites.installation import Installation, InstallationState

CODE, CORP = "code", "corp"


def code_mark(code_hash: str) -> str:
    """Return the mark of a code's row; these come before those of corps."""
    return f"{CODE} {code_hash}"


def corp_mark(corp_id: str) -> str:
    """Return the mark of a corp's row."""
    return f"{CORP} {corp_id}"


class ViewState(StrEnum):
    """Where a row stands: the states of an authorisation, and those of a code without one."""

    ACTIVE = "active"
    PENDING = "pending"
    """A code is taken, and its exchange is outstanding."""
    LOST = "lost"
    """A code was refused, or spent and the answer lost: an administrator must act."""
    REAUTHORIZATION_REQUIRED = "reauthorization_required"
    CANCELLED = "cancelled"


_WAITS_FOR = {
    InstallationState.TAKEN: "the code waits to be exchanged",
    InstallationState.SENT: "the code was sent, and WeCom's answer is outstanding",
    InstallationState.LOST: "",
}


@dataclass(frozen=True, slots=True)
class AuthorizationView:
    """An authorisation without its permanent code, or an installation that is open or lost."""

    suite: str
    corp_id: str
    """Empty for an installation: create_auth names no corp (wecom-api C4)."""
    corp_name: str
    state: ViewState
    agents: tuple[AuthorizedAgent, ...]
    auth_mode: AuthMode | None
    installer_user_id: str
    install_state: str
    install_time: datetime
    update_time: datetime
    problem: str
    code_hash: str
    """Of the auth_code that it came from: a row with a corp takes the place of its code's."""
    mark: str
    """Unique within the suite; rows are ordered by it."""

    @classmethod
    def of(cls, authorization: Authorization) -> Self:
        """Return the view of an authorisation."""
        return cls(
            suite=authorization.suite,
            corp_id=authorization.corp_id,
            corp_name=authorization.corp_name,
            state=ViewState(authorization.state.value),
            agents=() if authorization.state is AuthorizationState.CANCELLED else authorization.agents,
            auth_mode=authorization.auth_mode,
            installer_user_id=authorization.installer_user_id,
            install_state=authorization.install_state,
            install_time=authorization.installed_at,
            update_time=authorization.updated_at,
            problem=authorization.problem,
            code_hash=authorization.code_hash,
            mark=corp_mark(authorization.corp_id),
        )

    @classmethod
    def of_installation(cls, installation: Installation) -> Self:
        """Return the view of an installation that is open or lost."""
        return cls(
            suite=installation.suite,
            corp_id="",
            corp_name="",
            state=ViewState.PENDING if installation.is_open else ViewState.LOST,
            agents=(),
            auth_mode=None,
            installer_user_id="",
            install_state=installation.install_state,
            install_time=installation.taken_at,
            update_time=installation.sent_at or installation.taken_at,
            problem=installation.problem or _WAITS_FOR[installation.state],
            code_hash=installation.code_hash,
            mark=code_mark(installation.code_hash),
        )

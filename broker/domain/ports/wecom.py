"""WeCom's endpoints, one protocol for each subject."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from broker.domain.apps import App
from broker.domain.corps import ShareKind
from broker.domain.credentials import Credential, Grant
from broker.domain.people.users import User
from broker.domain.secret import Secret
from broker.domain.shares import ListedShares
from broker.domain.suites.authorization import AuthMode, AuthorizedAgent, Edition, Permission
from broker.domain.suites.suite import Provider, Suite


class WecomTokens(Protocol):
    """Access tokens. Raises `WecomRefused`, `RetryLater`, `CallerMistake`, `WecomProtocol`."""

    async def fetch_app_token(self, app: App) -> Grant:
        """Fetch an app's token in its own corp (wecom-api A1)."""

    async def fetch_child_token(
        self, parent: Credential, corp_id: str, agent_id: int, share_kind: ShareKind
    ) -> Grant:
        """Fetch the token of a child corp with the parent's; the agent id is the child's (wecom-api A3)."""


class WecomSuites(Protocol):
    """Tokens of suites, of providers, and of third-party apps in a corp. Raises as `WecomTokens`."""

    async def fetch_suite_token(self, suite: Suite, ticket: Secret) -> Grant:
        """Fetch a suite's token with its current suite_ticket (wecom-api B2)."""

    async def fetch_provider_token(self, provider: Provider) -> Grant:
        """Fetch a provider's token (wecom-api B12)."""

    async def fetch_corp_token(self, suite_token: Credential, app: App) -> Grant:
        """Fetch the token of a third-party app in a corp with its permanent code (wecom-api B8)."""


class WecomShares(Protocol):
    """Whom an app is shared with. Raises as `WecomTokens`."""

    async def list_app_shares(self, parent: Credential, share_kind: ShareKind) -> ListedShares:
        """List the shares of the parent's app of that kind, all pages (wecom-api A2)."""


GiveBack = Callable[[], Awaitable[None]]
"""Called where a call that was allowed did not reach WeCom: it counts no more."""
Allow = Callable[[], Awaitable[GiveBack]]
"""Called before a call is sent, each time, repeats included; raises if it may not be sent."""


class WecomTickets(Protocol):
    """The jsapi_tickets, limited per hour. Raises as `WecomTokens`, and what `allow` raises."""

    async def fetch_corp_ticket(self, token: Credential, allow: Allow) -> Grant:
        """Fetch the ticket of the token's corp (wecom-api A4)."""

    async def fetch_agent_ticket(self, token: Credential, allow: Allow) -> Grant:
        """Fetch the ticket of the token's app (wecom-api A5)."""


@dataclass(frozen=True, slots=True)
class LoginSession:
    """What WeCom answers about a mini-program user."""

    corp_id: str
    user_id: str
    session_key: Secret


class WecomUsers(Protocol):
    """Who a user is. A code is sent once; `code_unread` of an error says whether it may be sent again.

    Raises as `WecomTokens`, `CodeRejected` for a code that WeCom refuses, and `TokenRejected`.
    The first three take the token of an app in its corp, or a third-party suite's own (wecom-api B10, B11):
    then the answer names the corp, and a member counts as the corp's own.
    """

    async def exchange_auth_code(self, token: Credential, code: Secret) -> User:
        """Exchange the code of a web login (wecom-api A7)."""

    async def fetch_profile(self, token: Credential, user_ticket: Secret) -> dict[str, str]:
        """Fetch what a user agreed to show (wecom-api A8); with a suite's token also the `corpid`."""

    async def exchange_login_code(self, token: Credential, js_code: Secret) -> LoginSession:
        """Exchange the code of a mini-program login; the token's app is bound to it (wecom-api A9)."""

    async def transfer_session(
        self, child_token: Credential, user_id: str, session_key: Secret
    ) -> LoginSession:
        """Turn a parent's session into the child's, by the child's token and parent's key (wecom-api A10)."""


@dataclass(frozen=True, slots=True)
class ExchangedCode:
    """What WeCom answers to an auth_code; it has neither agents nor a token (wecom-api B6)."""

    corp_id: str
    corp_name: str
    permanent_code: Secret
    installer_user_id: str
    """Empty for installs by a share."""
    install_state: str
    """Of a QR code with parameters, else empty."""


@dataclass(frozen=True, slots=True)
class AuthorizationDetails:
    """What WeCom says about an authorisation (wecom-api B7); the agents are without permissions."""

    corp_name: str
    agents: tuple[AuthorizedAgent, ...]
    auth_mode: AuthMode | None


class WecomAuthorizations(Protocol):
    """How corps authorise suites. Raises as `WecomTokens`."""

    async def fetch_pre_auth_code(self, suite_token: Credential) -> Grant:
        """Fetch the code that an install link carries (wecom-api B3)."""

    async def set_session_info(
        self, suite_token: Credential, pre_auth_code: Secret, *, test_install: bool
    ) -> None:
        """Say whether the link installs a suite that is not published (wecom-api B4)."""

    async def exchange_auth_code(self, suite_token: Credential, auth_code: Secret) -> ExchangedCode:
        """Exchange an auth_code for the permanent code; it is sent once (wecom-api B6, v2).

        `CodeRejected` is WeCom's no to the code. Of any other error, `code_unread` says whether WeCom
        certainly did not read the code, so that it may be sent again; if not, the permanent code may be lost.
        """

    async def read_authorization(self, suite_token: Credential, app: App) -> AuthorizationDetails:
        """Read the agents of a corp, and who shares them (wecom-api B7, v2)."""

    async def read_editions(self, suite_token: Credential, app: App) -> dict[int, Edition]:
        """Read what the corp paid for, by agent id: only the old path tells (wecom-api B7)."""

    async def read_permissions(self, corp_token: Credential) -> tuple[Permission, ...]:
        """Read what the corp allows, and until when (wecom-api B7, J)."""


class WecomAddresses(Protocol):
    """The addresses of WeCom's own servers. Raises as `WecomTokens`."""

    async def fetch_callback_addresses(self, token: Credential) -> list[str]:
        """List the addresses and ranges that callbacks come from (wecom-api A13)."""

"""WeCom's endpoints, one protocol for each subject."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from broker.domain.apps import App
from broker.domain.corps import ShareKind
from broker.domain.credentials import Credential, Grant
from broker.domain.secret import Secret
from broker.domain.shares import ListedShares
from broker.domain.users import User


class WecomTokens(Protocol):
    """Access tokens. Raises `WecomRefused`, `RetryLater`, `CallerMistake`, `WecomProtocol`."""

    async def fetch_app_token(self, app: App) -> Grant:
        """Fetch an app's token in its own corp (wecom-api A1)."""

    async def fetch_child_token(
        self, parent: Credential, corp_id: str, agent_id: int, share_kind: ShareKind
    ) -> Grant:
        """Fetch the token of a child corp with the parent's; the agent id is the child's (wecom-api A3)."""


class WecomShares(Protocol):
    """Whom an app is shared with. Raises as `WecomTokens`."""

    async def list_app_shares(self, parent: Credential, share_kind: ShareKind) -> ListedShares:
        """List the shares of the parent's app of that kind, all pages (wecom-api A2)."""


Allow = Callable[[], Awaitable[None]]
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
    """Who a user is. Codes are sent once, whatever happens. Raises as `WecomTokens`."""

    async def exchange_auth_code(self, token: Credential, code: Secret) -> User:
        """Exchange the code of a web login (wecom-api A7)."""

    async def fetch_profile(self, token: Credential, user_ticket: Secret) -> dict[str, str]:
        """Fetch what a user agreed to show (wecom-api A8)."""

    async def exchange_login_code(self, token: Credential, js_code: Secret) -> LoginSession:
        """Exchange the code of a mini-program login; the token's app is bound to it (wecom-api A9)."""

    async def transfer_session(
        self, child_token: Credential, user_id: str, session_key: Secret
    ) -> LoginSession:
        """Turn a parent's session into the child's, by the child's token and parent's key (wecom-api A10)."""


class WecomAddresses(Protocol):
    """The addresses of WeCom's own servers. Raises as `WecomTokens`."""

    async def fetch_callback_addresses(self, token: Credential) -> list[str]:
        """List the addresses and ranges that callbacks come from (wecom-api A13)."""

"""Who a visitor is: the link to WeCom, the code that comes back, and what the user agreed to show."""

import asyncio
from dataclasses import dataclass

from broker.domain.apps import Target
from broker.domain.credentials import CredentialKey
from broker.domain.errors import AmbiguousTarget, BrokerError
from broker.domain.ports.clock import Randomness
from broker.domain.ports.wecom import WecomUsers
from broker.domain.users import User, UserKind
from broker.protocol.authorize_url import Scope, authorize_url, check_redirect_uri, check_state
from broker.usecases.credentials.engine import CredentialEngine
from broker.usecases.credentials.one_time_codes import read_code, spend_code
from broker.usecases.shares.targets import Targets

LOOKED_FOR_SECONDS = 1.0
"""How long a user whose code is spent waits for a listing that may contain the user's corp."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What a user agreed to show, by WeCom's names."""

    corp_id: str
    fields: dict[str, str]


class Identities:
    """Exchange codes for users. WeCom reads a code once, whatever the outcome."""

    def __init__(
        self,
        targets: Targets,
        engine: CredentialEngine,
        users: WecomUsers,
        randomness: Randomness,
        oauth_base: str,
    ) -> None:
        self._targets = targets
        self._engine = engine
        self._users = users
        self._randomness = randomness
        self._oauth_base = oauth_base

    def build_authorize_url(
        self, app_name: str, redirect_uri: str, scope: Scope, state: str
    ) -> tuple[str, str]:
        """Return the link and the state in it; its corp is the parent's, for every child (wecom-api A6)."""
        app = self._targets.app(app_name)
        app.check_agent("app")
        check_redirect_uri(redirect_uri)
        state = state or self._randomness.unguessable()
        check_state(state)
        url = authorize_url(self._oauth_base, app.corp_id, app.agent_id, redirect_uri, scope, state)
        return url, state

    async def exchange_code(self, app_name: str, code: str) -> tuple[User, bool]:
        """Return the user, and whether its corp is known: the app's own, or a child in the share list.

        Raises `CodeRejected`, `InvalidRequest`, `UnknownApp`, and what the engine raises.
        """
        secret = read_code("code", code)
        app = self._targets.app(app_name)
        user = await spend_code(
            self._engine,
            CredentialKey.own_token(app),
            lambda token: self._users.exchange_auth_code(token, secret),
        )
        return user, user.kind is not UserKind.CHILD_MEMBER or await self._is_shared(app_name, user.corp_id)

    async def fetch_profile(self, app_name: str, user_ticket: str) -> Profile:
        """Return what the user agreed to show. Raises as `exchange_code`."""
        secret = read_code("user_ticket", user_ticket)
        app = self._targets.app(app_name)
        fields = await self._engine.using(
            CredentialKey.own_token(app), lambda token: self._users.fetch_profile(token, secret)
        )
        return Profile(app.corp_id, fields)

    async def _is_shared(self, app_name: str, corp_id: str) -> bool:
        """Return whether the child is in the share list; an unknown one is looked for once."""
        try:
            async with asyncio.timeout(LOOKED_FOR_SECONDS):
                await self._targets.locate(Target(app_name, corp_id))
        except AmbiguousTarget:
            return True
        except (BrokerError, TimeoutError):
            # The code is spent: the user's identity must not be lost because the list is unavailable.
            return False
        return True

"""Who a visitor is: the link to WeCom, the code that comes back, and what the user agreed to show."""

import asyncio
from dataclasses import dataclass

from broker.domain.apps import Target
from broker.domain.errors import AmbiguousTarget, BrokerError
from broker.domain.people.users import User
from broker.domain.ports.clock import Randomness
from broker.domain.ports.wecom import WecomUsers
from broker.protocol.authorize_url import Scope, authorize_url, check_redirect_uri, check_state
from broker.usecases.credentials.engine import CredentialEngine
from broker.usecases.credentials.one_time_codes import read_code, spend_code
from broker.usecases.login_apps import LoginApps
from broker.usecases.shares.targets import Targets

LOOKED_FOR_SECONDS = 1.0
"""How long a user whose code is spent waits for a listing that may contain the user's corp."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What a user agreed to show, by WeCom's names."""

    corp_id: str
    fields: dict[str, str]


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who a code identifies."""

    user: User
    corp_known: bool
    """Whether the user's corp has the app, as far as the broker knows."""
    app_corp_id: str
    """The corp whose app it is; "" for a third-party suite."""


class Identities:
    """Exchange codes for users. WeCom reads a code once, whatever the outcome."""

    def __init__(
        self,
        apps: LoginApps,
        targets: Targets,
        engine: CredentialEngine,
        users: WecomUsers,
        randomness: Randomness,
        oauth_base: str,
    ) -> None:
        self._apps = apps
        self._targets = targets
        self._engine = engine
        self._users = users
        self._randomness = randomness
        self._oauth_base = oauth_base

    async def build_authorize_url(
        self, app_name: str, redirect_uri: str, scope: Scope, state: str, corp_id: str = ""
    ) -> tuple[str, str]:
        """Return the link and the state in it; its corp is the parent's, for every child (wecom-api A6, B10).

        Raises as `LoginApps.find`.
        """
        app_id, agent_id = (await self._apps.find(app_name, corp_id)).link()
        check_redirect_uri(redirect_uri)
        state = state or self._randomness.unguessable()
        check_state(state)
        url = authorize_url(self._oauth_base, app_id, agent_id, redirect_uri, scope, state)
        return url, state

    async def exchange_code(self, app_name: str, code: str, corp_id: str = "") -> Visitor:
        """Return the user. Raises `CodeRejected`, what the engine raises, and as `LoginApps.find`."""
        secret = read_code("code", code)
        app = await self._apps.find(app_name, corp_id)
        user = await spend_code(
            self._engine, app.token, lambda token: self._users.exchange_auth_code(token, secret)
        )
        known = user.corp_id in ("", app.corp_id) or await self._is_reached(app_name, user.corp_id)
        return Visitor(user, corp_known=known, app_corp_id=app.corp_id)

    async def corp_of(self, app_name: str, corp_id: str) -> str:
        """Return the corp whose app it is; "" for a third-party suite. Raises as `LoginApps.find`."""
        return (await self._apps.find(app_name, corp_id)).corp_id

    async def fetch_profile(self, app_name: str, user_ticket: str, corp_id: str = "") -> Profile:
        """Return what the user agreed to show. Raises as `exchange_code`."""
        secret = read_code("user_ticket", user_ticket)
        app = await self._apps.find(app_name, corp_id)
        fields = await self._engine.using(app.token, lambda token: self._users.fetch_profile(token, secret))
        # Of a suite's user, the answer tells the corp.
        return Profile(fields.pop("corpid", app.corp_id), fields)

    async def _is_reached(self, app_name: str, corp_id: str) -> bool:
        """Return whether the corp has the app; an unknown child is looked for once."""
        try:
            async with asyncio.timeout(LOOKED_FOR_SECONDS):
                await self._targets.locate(Target(app_name, corp_id))
        except AmbiguousTarget:
            return True
        except (BrokerError, TimeoutError):
            # The code is spent: the user's identity must not be lost because the list is unavailable.
            return False
        return True

"""The link by which an administrator installs a third-party suite (wecom-api B3-B5)."""

from dataclasses import dataclass
from datetime import datetime

from broker.domain.apps import AppKind
from broker.domain.credentials import Credential, CredentialKey, Grant
from broker.domain.errors import InvalidRequest
from broker.domain.ports.clock import Clock, Randomness
from broker.domain.ports.wecom import WecomAuthorizations
from broker.domain.suites.catalog import Catalog
from broker.protocol.authorize_url import check_redirect_uri, check_state
from broker.protocol.install_url import install_url
from broker.usecases.credentials.engine import CredentialEngine


@dataclass(frozen=True, slots=True)
class InstallLink:
    """Where to send the administrator, and until when."""

    url: str
    state: str
    expires_at: datetime


class InstallLinks:
    """Build install links."""

    def __init__(
        self,
        catalog: Catalog,
        wecom: WecomAuthorizations,
        engine: CredentialEngine,
        clock: Clock,
        randomness: Randomness,
    ) -> None:
        self._catalog = catalog
        self._wecom = wecom
        self._engine = engine
        self._clock = clock
        self._randomness = randomness

    async def build(self, name: str, redirect_uri: str, state: str, *, test_install: bool) -> InstallLink:
        """Return a link that installs the suite once. Raises `InvalidRequest`, and what the engine raises."""
        suite = self._catalog.suite(name)
        if suite.kind is AppKind.CUSTOMIZED:
            problem = "a 代开发 app is authorised by its QR code: call service/get_customized_auth_url"
            raise InvalidRequest("app", f"{problem} with the provider's token", app=name)
        check_redirect_uri(redirect_uri)
        state = state or self._randomness.unguessable()
        check_state(state)

        async def with_token(token: Credential) -> Grant:
            code = await self._wecom.fetch_pre_auth_code(token)
            if test_install:
                await self._wecom.set_session_info(token, code.value, test_install=True)
            return code

        began = self._clock.now()
        code = await self._engine.using(CredentialKey.suite_token(suite), with_token)
        url = install_url(suite.suite_id, code.value, redirect_uri, state)
        return InstallLink(url, state, began + code.lifetime)
